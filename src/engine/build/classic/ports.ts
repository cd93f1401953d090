import { EngineError } from "../../../base/errors.ts";

/** The ports that a word of EXPOSE means: `80`, `80/udp`, `8000-8010/tcp`; a host part is taken and dropped, as in Docker. */
export function parsePorts(word: string): string[] {
  const spec = word.slice(word.lastIndexOf(":") + 1);
  const [range = "", protocol = "tcp"] = spec.split("/", 2);
  if (range === "") throw new EngineError("invalid", `no port specified: ${word}<empty>`);
  if (!["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) throw new EngineError("invalid", `invalid proto: ${protocol}`);
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (match === null || last < first || last > 65_535) throw new EngineError("invalid", `invalid containerPort: ${range}`);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}
