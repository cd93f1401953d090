import { serveJobs } from "../store/child/serve.ts";
import { unpackLayer, type UnpackRequest } from "../store/unpack/unpack-layer.ts";

// The daemon's child for work on strangers' data; started by store/child/pool.ts, which is also who writes the payloads.
serveJobs({
  unpack: (payload, progress, signal) => unpackLayer(payload as UnpackRequest, progress, signal),
});
