import { ANY, BOOL, FLOAT, INT, STRING, TIME, type GoField, type GoType } from "./go-values.ts";

/**
 * The structs behind the Engine API's answers (1.50), as Docker's Go client has them: the order of their fields and what is absent when
 * empty. One struct a line:
 *
 *     Name: Field type, Field=JsonName type, Field? type, +Embedded
 *
 * `=` gives the name in JSON where it differs, `?` leaves the field out of JSON when it is empty, `+` embeds a struct.
 */
const STRUCTS = `
Container: +*ContainerBase, Mounts []MountPoint, Config *Config, NetworkSettings *NetworkSettings, ImageManifestDescriptor? *Descriptor
ContainerBase: ID=Id string, Created string, Path string, Args []string, State *State, Image string, ResolvConfPath string, HostnamePath string, HostsPath string, LogPath string, Name string, RestartCount int, Driver string, Platform string, MountLabel string, ProcessLabel string, AppArmorProfile string, ExecIDs []string, HostConfig *HostConfig, GraphDriver DriverData, SizeRw? *int, SizeRootFs? *int
MountPoint: Type? string, Name? string, Source string, Destination string, Driver? string, Mode string, RW bool, Propagation string
State: Status string, Running bool, Paused bool, Restarting bool, OOMKilled bool, Dead bool, Pid int, ExitCode int, Error string, StartedAt string, FinishedAt string, Health? *Health
Health: Status string, FailingStreak int, Log []*HealthcheckResult
HealthcheckResult: Start time, End time, ExitCode int, Output string
NetworkSettings: +NetworkSettingsBase, +DefaultNetworkSettings, Networks map[]*EndpointSettings
NetworkSettingsBase: Bridge string, SandboxID string, SandboxKey string, Ports map[][]PortBinding, HairpinMode bool, LinkLocalIPv6Address string, LinkLocalIPv6PrefixLen int, SecondaryIPAddresses []Address, SecondaryIPv6Addresses []Address
DefaultNetworkSettings: EndpointID string, Gateway string, GlobalIPv6Address string, GlobalIPv6PrefixLen int, IPAddress string, IPPrefixLen int, IPv6Gateway string, MacAddress string
PortBinding: HostIP=HostIp string, HostPort string
Address: Addr string, PrefixLen int
EndpointSettings: IPAMConfig *EndpointIPAMConfig, Links []string, Aliases []string, MacAddress string, DriverOpts map[]string, GwPriority int, NetworkID string, EndpointID string, Gateway string, IPAddress string, IPPrefixLen int, IPv6Gateway string, GlobalIPv6Address string, GlobalIPv6PrefixLen int, DNSNames []string
EndpointIPAMConfig: IPv4Address? string, IPv6Address? string, LinkLocalIPs? []string
Config: Hostname string, Domainname string, User string, AttachStdin bool, AttachStdout bool, AttachStderr bool, ExposedPorts? map[]Empty, Tty bool, OpenStdin bool, StdinOnce bool, Env []string, Cmd []string, Healthcheck? *HealthConfig, ArgsEscaped? bool, Image string, Volumes map[]Empty, WorkingDir string, Entrypoint []string, NetworkDisabled? bool, MacAddress? string, OnBuild []string, Labels map[]string, StopSignal? string, StopTimeout? *int, Shell? []string
HealthConfig: Test? []string, Interval? duration, Timeout? duration, StartPeriod? duration, StartInterval? duration, Retries? int
Empty:
HostConfig: Binds []string, ContainerIDFile string, LogConfig LogConfig, NetworkMode string, PortBindings map[][]PortBinding, RestartPolicy RestartPolicy, AutoRemove bool, VolumeDriver string, VolumesFrom []string, ConsoleSize []int, Annotations? map[]string, CapAdd []string, CapDrop []string, CgroupnsMode string, DNS=Dns []string, DNSOptions=DnsOptions []string, DNSSearch=DnsSearch []string, ExtraHosts []string, GroupAdd []string, IpcMode string, Cgroup string, Links []string, OomScoreAdj int, PidMode string, Privileged bool, PublishAllPorts bool, ReadonlyRootfs bool, SecurityOpt []string, StorageOpt? map[]string, Tmpfs? map[]string, UTSMode string, UsernsMode string, ShmSize int, Sysctls? map[]string, Runtime? string, Isolation string, +Resources, Mounts? []Mount, MaskedPaths []string, ReadonlyPaths []string, Init? *bool
Resources: CPUShares=CpuShares int, Memory int, NanoCPUs=NanoCpus int, CgroupParent string, BlkioWeight int, BlkioWeightDevice []*WeightDevice, BlkioDeviceReadBps []*ThrottleDevice, BlkioDeviceWriteBps []*ThrottleDevice, BlkioDeviceReadIOps []*ThrottleDevice, BlkioDeviceWriteIOps []*ThrottleDevice, CPUPeriod=CpuPeriod int, CPUQuota=CpuQuota int, CPURealtimePeriod=CpuRealtimePeriod int, CPURealtimeRuntime=CpuRealtimeRuntime int, CpusetCpus string, CpusetMems string, Devices []DeviceMapping, DeviceCgroupRules []string, DeviceRequests []DeviceRequest, KernelMemory? int, KernelMemoryTCP? int, MemoryReservation int, MemorySwap int, MemorySwappiness *int, OomKillDisable *bool, PidsLimit *int, Ulimits []*Ulimit, CPUCount=CpuCount int, CPUPercent=CpuPercent int, IOMaximumIOps int, IOMaximumBandwidth int
LogConfig: Type string, Config map[]string
RestartPolicy: Name string, MaximumRetryCount int
WeightDevice: Path string, Weight int
ThrottleDevice: Path string, Rate int
DeviceMapping: PathOnHost string, PathInContainer string, CgroupPermissions string
DeviceRequest: Driver string, Count int, DeviceIDs []string, Capabilities [][]string, Options map[]string
Ulimit: Name string, Hard int, Soft int
Mount: Type? string, Source? string, Target? string, ReadOnly? bool, Consistency? string, BindOptions? *BindOptions, VolumeOptions? *VolumeOptions, ImageOptions? *ImageOptions, TmpfsOptions? *TmpfsOptions, ClusterOptions? *Empty
BindOptions: Propagation? string, NonRecursive? bool, CreateMountpoint? bool, ReadOnlyNonRecursive? bool, ReadOnlyForceRecursive? bool
VolumeOptions: NoCopy? bool, Labels? map[]string, Subpath? string, DriverConfig? *VolumeDriver
VolumeDriver: Name? string, Options? map[]string
ImageOptions: Subpath? string
TmpfsOptions: SizeBytes? int, Mode? int, Options? [][]string
DriverData: Data map[]string, Name string
Descriptor: MediaType=mediaType string, Digest=digest string, Size=size int, URLs=urls? []string, Annotations=annotations? map[]string, Data=data? string, Platform=platform? *Platform, ArtifactType=artifactType? string
Platform: Architecture=architecture string, OS=os string, OSVersion=os.version? string, OSFeatures=os.features? []string, Variant=variant? string
Image: ID=Id string, RepoTags []string, RepoDigests []string, Parent string, Comment string, Created? string, Container? string, ContainerConfig? *Config, DockerVersion string, Author string, Config *ImageConfig, Architecture string, Variant? string, Os string, OsVersion? string, Size int, VirtualSize? int, GraphDriver DriverData, RootFS RootFS, Metadata ImageMetadata, Descriptor? *Descriptor, Manifests? []any
ImageConfig: +OciConfig, +DockerConfig
OciConfig: User? string, ExposedPorts? map[]Empty, Env? []string, Entrypoint? []string, Cmd? []string, Volumes? map[]Empty, WorkingDir? string, Labels? map[]string, StopSignal? string, ArgsEscaped? bool
DockerConfig: Healthcheck? *HealthConfig, OnBuild? []string, Shell? []string
RootFS: Type? string, Layers? []string
ImageMetadata: LastTagTime? time
Network: Name string, ID=Id string, Created time, Scope string, Driver string, EnableIPv4 bool, EnableIPv6 bool, IPAM IPAM, Internal bool, Attachable bool, Ingress bool, ConfigFrom ConfigReference, ConfigOnly bool, Containers map[]EndpointResource, Options map[]string, Labels map[]string, Peers? []PeerInfo, Services? map[]any
IPAM: Driver string, Options map[]string, Config []IPAMConfig
IPAMConfig: Subnet? string, IPRange? string, Gateway? string, AuxAddress=AuxiliaryAddresses? map[]string
ConfigReference: Network string
EndpointResource: Name string, EndpointID string, MacAddress string, IPv4Address string, IPv6Address string
PeerInfo: Name string, IP string
Volume: ClusterVolume? *any, CreatedAt? string, Driver string, Labels map[]string, Mountpoint string, Name string, Options map[]string, Scope string, Status? map[]any, UsageData? *UsageData
UsageData: RefCount int, Size int
Message: Status=status? string, ID=id? string, From=from? string, Type string, Action string, Actor Actor, Scope=scope? string, Time=time? int, TimeNano=timeNano? int
Actor: ID string, Attributes map[]string
VersionInfo: Client ClientVersion, Server *Version
ClientVersion: Platform? *PlatformName, Version? string, APIVersion=ApiVersion? string, DefaultAPIVersion? string, GitCommit? string, GoVersion? string, Os? string, Arch? string, BuildTime? string, Context string
PlatformName: Name? string
Version: Platform PlatformName, Components? []ComponentVersion, Version string, APIVersion=ApiVersion string, MinAPIVersion? string, GitCommit string, GoVersion string, Os string, Arch string, KernelVersion? string, Experimental? bool, BuildTime? string
ComponentVersion: Name string, Version string, Details? map[]string
ClientOnly: ClientInfo? *ClientInfo, ClientErrors? []string
DockerInfo: +*Info, ServerErrors? []string, UserName=- string, ClientInfo? *ClientInfo, ClientErrors? []string
ClientInfo: Debug bool, +ClientVersion, Plugins []any, Warnings []string
Info: ID string, Containers int, ContainersRunning int, ContainersPaused int, ContainersStopped int, Images int, Driver string, DriverStatus [][]string, SystemStatus? [][]string, Plugins Plugins, MemoryLimit bool, SwapLimit bool, KernelMemory? bool, KernelMemoryTCP? bool, CPUCfsPeriod=CpuCfsPeriod bool, CPUCfsQuota=CpuCfsQuota bool, CPUShares bool, CPUSet bool, PidsLimit bool, IPv4Forwarding bool, Debug bool, NFd int, OomKillDisable bool, NGoroutines int, SystemTime string, LoggingDriver string, CgroupDriver string, CgroupVersion? string, NEventsListener int, KernelVersion string, OperatingSystem string, OSVersion string, OSType string, Architecture string, IndexServerAddress string, RegistryConfig *RegistryConfig, NCPU int, MemTotal int, GenericResources []any, DockerRootDir string, HTTPProxy=HttpProxy string, HTTPSProxy=HttpsProxy string, NoProxy string, Name string, Labels []string, ExperimentalBuild bool, ServerVersion string, Runtimes map[]RuntimeWithStatus, DefaultRuntime string, Swarm SwarmInfo, LiveRestoreEnabled bool, Isolation string, InitBinary string, ContainerdCommit Commit, RuncCommit Commit, InitCommit Commit, SecurityOptions []string, ProductLicense? string, DefaultAddressPools? []AddressPool, FirewallBackend? *FirewallInfo, CDISpecDirs []string, DiscoveredDevices? []DeviceInfo, Containerd? *ContainerdInfo, Warnings []string
Plugins: Volume []string, Network []string, Authorization []string, Log []string
Commit: ID string, Expected? string
AddressPool: Base string, Size int
FirewallInfo: Driver string, Info? [][]string
DeviceInfo: Source string, ID string
ContainerdInfo: Address? string, Namespaces ContainerdNamespaces
ContainerdNamespaces: Containers string, Plugins string
RuntimeWithStatus: +Runtime, Status=status? map[]string
Runtime: Path=path? string, Args=runtimeArgs? []string, Type=runtimeType? string, Options=options? map[]any
RegistryConfig: AllowNondistributableArtifactsCIDRs? []string, AllowNondistributableArtifactsHostnames? []string, IndexConfigs map[]*IndexInfo, InsecureRegistryCIDRs []string, Mirrors []string
IndexInfo: Mirrors []string, Name string, Official bool, Secure bool
SwarmInfo: NodeID string, NodeAddr string, LocalNodeState string, ControlAvailable bool, Error string, RemoteManagers []SwarmPeer, Nodes? int, Managers? int, Cluster? *any, Warnings? []string
SwarmPeer: NodeID string, Addr string
`;

/** Go's names of the types that messages show. */
const GO_NAMES: Readonly<Record<string, string>> = {
  Message: "events.Message",
  VersionInfo: "system.versionInfo",
  ClientVersion: "system.clientVersion",
  Version: "types.Version",
  Volume: "volume.Volume",
  DockerInfo: "system.dockerInfo",
  Info: "system.Info",
};

const made = new Map<string, GoType>();

/** The type with this name. */
export function structType(name: string): GoType {
  const known = made.get(name);
  if (known !== undefined) return known;
  const line = new RegExp(`^${name}: ?(.*)$`, "m").exec(STRUCTS)?.[1];
  if (line === undefined) throw new Error(`bug: no struct ${name}`);
  const fields = line === "" ? [] : line.split(", ").map(parseField);
  const type: GoType = { kind: "struct", name: GO_NAMES[name] ?? name, fields };
  made.set(name, type);
  return type;
}

function parseField(text: string): GoField {
  if (text.startsWith("+"))
    return { name: text.slice(1).replace("*", ""), key: "", type: parseType(text.slice(1)), omitEmpty: false, embedded: true };
  const [, name = "", key = name, optional = "", type = ""] = /^(\w+)(?:=([\w.-]+))?(\?)? (.+)$/.exec(text) ?? [];
  return { name, key, type: parseType(type), omitEmpty: optional !== "", embedded: false };
}

function parseType(text: string): GoType {
  if (text.startsWith("*")) return { kind: "pointer", to: parseType(text.slice(1)) };
  if (text.startsWith("[]")) return { kind: "slice", of: parseType(text.slice(2)) };
  if (text.startsWith("map[]")) return { kind: "map", of: parseType(text.slice("map[]".length)) };
  switch (text) {
    case "string":
      return STRING;
    case "bool":
      return BOOL;
    case "int":
    case "duration":
      return INT;
    case "float":
      return FLOAT;
    case "time":
      return TIME;
    case "any":
      return ANY;
    default:
      return structType(text);
  }
}
