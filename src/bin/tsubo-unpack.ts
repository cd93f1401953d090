import { serveJobs } from "../store/child/serve.ts";
import { downloadBlob, type DownloadRequest } from "../engine/images/registry/download.ts";
import { exchange, type ExchangeRequest } from "../engine/images/registry/exchange.ts";
import { unpackLayer, type UnpackRequest } from "../store/unpack/unpack-layer.ts";

// The daemon's child for work on strangers' data; started by store/child/pool.ts, which is also who writes the payloads.
serveJobs({
  download: (payload, progress, signal) => downloadBlob(payload as DownloadRequest, progress, signal),
  exchange: (payload, _progress, signal) => exchange(payload as ExchangeRequest, signal),
  unpack: (payload, progress, signal) => unpackLayer(payload as UnpackRequest, progress, signal),
});
