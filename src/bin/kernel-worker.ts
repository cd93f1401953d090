import { serveKernelWorker } from "../kernel/net/kernel-worker.ts";

/** The program of the kernel worker thread. */
serveKernelWorker();
