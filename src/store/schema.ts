/**
 * The tables of `state.db`, as numbered migrations: entry N brings a database of version N to version N + 1. Never edit an entry that a
 * release has shipped; add one.
 *
 * Records that the engine reads whole are kept as JSON beside the columns that must be unique or are searched.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE containers (
    id     TEXT PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,          -- without the leading slash
    record TEXT NOT NULL                  -- engine/containers/container.ts, ContainerRecord
  ) STRICT;

  CREATE TABLE images (
    id     TEXT PRIMARY KEY,              -- sha256:… of the config
    record TEXT NOT NULL                  -- engine/images/image.ts, ImageRecord
  ) STRICT;

  CREATE TABLE image_references (
    reference TEXT PRIMARY KEY,           -- docker.io/library/busybox:latest, or name@sha256:…
    image     TEXT NOT NULL REFERENCES images(id)
  ) STRICT;
  CREATE INDEX image_references_by_image ON image_references(image);

  CREATE TABLE layers (
    chain_id TEXT PRIMARY KEY,            -- sha256:…, image-spec "Layer ChainID"
    parent   TEXT REFERENCES layers(chain_id),
    diff_id  TEXT NOT NULL,
    folder   TEXT NOT NULL UNIQUE,        -- random name below layers/
    bytes    INTEGER NOT NULL             -- sum of regular file sizes
  ) STRICT;

  CREATE TABLE writable_layers (          -- keeps an image's layers while a container sits on them, also after the image went
    container TEXT PRIMARY KEY,
    parent    TEXT REFERENCES layers(chain_id)
  ) STRICT;

  CREATE TABLE networks (
    id     TEXT PRIMARY KEY,
    name   TEXT NOT NULL,
    record TEXT NOT NULL
  ) STRICT;

  CREATE TABLE endpoints (                -- one network of one container, with its leased address
    container TEXT NOT NULL,
    network   TEXT NOT NULL,
    address   TEXT,                       -- null where the network hands out none
    record    TEXT NOT NULL,
    PRIMARY KEY (container, network),
    UNIQUE (network, address)
  ) STRICT;

  CREATE TABLE intents (                  -- multi-step operations under way: start-up finishes or undoes them
    id      INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE layers ADD COLUMN tar_bytes INTEGER;   -- size of its tar; null for layers of old
  `,
  `
  CREATE TABLE operation_results (        -- what operations of builds came to: engine/build/graph/results.ts
    key      TEXT PRIMARY KEY,
    chain_id TEXT NOT NULL REFERENCES layers(chain_id) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX operation_results_by_layer ON operation_results(chain_id);
  `,
  `
  CREATE TABLE layer_digests (            -- where registries have layers: engine/images/layer-digests.ts
    id         INTEGER PRIMARY KEY,       -- the newest has the highest
    diff_id    TEXT NOT NULL,
    digest     TEXT NOT NULL,             -- of the compressed layer
    bytes      INTEGER NOT NULL,
    repository TEXT NOT NULL,             -- docker.io/library/busybox
    UNIQUE (diff_id, digest, repository)
  ) STRICT;
  `,
  `
  CREATE TABLE step_uses (                -- how cached steps of builds are used: engine/build/cache/step-uses.ts
    image        TEXT PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
    last_used_ns TEXT NOT NULL,
    uses         INTEGER NOT NULL
  ) STRICT;
  `,
  `
  UPDATE networks SET record = json_patch(
    '{"attachable":false,"enableIpv4":true,"enableIpv6":false,"pools":[],"ipamOptions":null,"options":{}}', record);
  UPDATE endpoints SET record = json_patch(
    '{"containerLink":"eth0","ipv6Address":"","ipv6PrefixLength":0,"ipv6Gateway":"","dnsNames":[],"links":[],"linkedPorts":[],"gatewayPriority":0,"isGateway":true}', record);
  UPDATE containers SET record = json_insert(
    record, '$.networking.EndpointsConfig."' || json_extract(record, '$.hostConfig.NetworkMode') || '"', json('{}'))
    WHERE json_extract(record, '$.hostConfig.NetworkMode') NOT LIKE 'container:%';
  ALTER TABLE endpoints ADD COLUMN address6 TEXT;      -- leased, like address
  CREATE UNIQUE INDEX endpoints_by_address6 ON endpoints(network, address6);
  `,
  `
  CREATE TABLE volumes (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL                  -- engine/volumes/volume-records.ts
  ) STRICT;
  `,
];
