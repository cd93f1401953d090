import { serveDnsWorker } from "../engine/networks/dns/serve-dns-worker.ts";

/** The program of the DNS thread. */
serveDnsWorker();
