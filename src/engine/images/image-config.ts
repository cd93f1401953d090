/**
 * The image config (image-spec v1.1 `config.md`, with Docker's additions), as parsed from its bytes. Unknown members are kept in the bytes,
 * not here.
 */
export interface ImageConfig {
  architecture: string;
  variant?: string;
  os: string;
  "os.version"?: string;
  created?: string;
  author?: string;
  comment?: string;
  docker_version?: string;
  container?: string;
  config?: ContainerDefaults;
  rootfs: { type: "layers"; diff_ids: string[] };
  history?: HistoryEntry[];
}

/** What a container made from the image starts with. Names as in the config's JSON. */
export interface ContainerDefaults {
  Hostname?: string;
  Domainname?: string;
  User?: string;
  ExposedPorts?: Record<string, Record<string, never>>;
  Env?: string[];
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Volumes?: Record<string, Record<string, never>> | null;
  WorkingDir?: string;
  Labels?: Record<string, string> | null;
  StopSignal?: string;
  StopTimeout?: number;
  Shell?: string[] | null;
  ArgsEscaped?: boolean;
  OnBuild?: string[] | null;
  Healthcheck?: { Test?: string[]; Interval?: number; Timeout?: number; StartPeriod?: number; StartInterval?: number; Retries?: number };
}

export interface HistoryEntry {
  created?: string;
  created_by?: string;
  author?: string;
  comment?: string;
  empty_layer?: boolean;
}
