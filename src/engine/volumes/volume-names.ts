import { EngineError } from "../../base/errors.ts";

/** Two characters at least, as volumes of the driver `local` are named. */
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Refuses what Docker refuses, in its words; an empty name asks for one to be made up. */
export function checkVolumeName(name: string): void {
  if (name === "" || VOLUME_NAME.test(name)) return;
  const why =
    name.length === 1
      ? "volume name is too short, names should be at least two alphanumeric characters"
      : `${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`;
  throw new EngineError("invalid", `create ${name}: ${why}`);
}
