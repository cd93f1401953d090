import { formatPlatform, hostPlatform, type Platform } from "../../images/platform.ts";

/** The arguments that say what is built on what, for whom an ARG declares them (Dockerfile reference, "Automatic platform ARGs"). */
export function platformArgs(target: Platform | undefined): Record<string, string> {
  return { ...named("BUILD", hostPlatform()), ...named("TARGET", target ?? hostPlatform()) };
}

function named(prefix: string, platform: Platform): Record<string, string> {
  return {
    [`${prefix}PLATFORM`]: formatPlatform(platform),
    [`${prefix}OS`]: platform.os,
    [`${prefix}ARCH`]: platform.architecture,
    [`${prefix}VARIANT`]: platform.variant ?? "",
  };
}
