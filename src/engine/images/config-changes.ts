import { EngineError } from "../../base/errors.ts";
import { expandWord, expandWords } from "../../dockerfile/expand.ts";
import { parseInstruction } from "../../dockerfile/parse.ts";
import { changeConfig, type ConfigState, workingDirectory } from "./config-instructions.ts";
import type { ContainerDefaults } from "./image-config.ts";

/** `--change` of import and commit: instructions that only change the config, each on a line of its own (moby's BuildFromConfig). */
export function applyChanges(start: ContainerDefaults, changes: string[]): ContainerDefaults {
  let state: ConfigState = { config: structuredClone(start), cmdWasSet: false };
  for (const line of changes.join("\n").split("\n")) {
    const text = line.trim();
    if (text !== "" && !text.startsWith("#")) state = applyChange(state, text);
  }
  return state.config;
}

function applyChange(state: ConfigState, text: string): ConfigState {
  const { config } = state;
  checkKeyword(text);
  const instruction = parseInstruction(text);
  const variable = (name: string): string | undefined => variableOf(config.Env ?? [], name);
  const expand = {
    word: (word: string): string => expandWord(word, variable, "\\"),
    words: (word: string): string[] => expandWords(word, variable, "\\"),
  };
  switch (instruction.kind) {
    case "workdir":
      return { ...state, config: { ...config, WorkingDir: workingDirectory(config, expand.word(instruction.path)) } };
    case "add":
    case "arg":
    case "copy":
    case "maintainer":
    case "run":
    case "shell":
      throw refused(instruction.keyword);
    default: {
      const { changes, cmdWasSet } = changeConfig(state, instruction, expand);
      return { config: { ...config, ...changes }, cmdWasSet };
    }
  }
}

const ALLOWED = new Set("cmd entrypoint env expose healthcheck label onbuild stopsignal user volume workdir".split(" "));

/** Before it is parsed: what may not be said here need not be right. */
function checkKeyword(text: string): void {
  const [keyword = ""] = text.split(/\s/, 1);
  if (!ALLOWED.has(keyword.toLowerCase())) throw refused(keyword);
}

function refused(keyword: string): EngineError {
  return new EngineError("invalid", `${keyword} is not a valid change command`);
}

function variableOf(environment: readonly string[], name: string): string | undefined {
  const entry = environment.findLast((one) => one === name || one.startsWith(`${name}=`));
  return entry?.slice(name.length + 1);
}
