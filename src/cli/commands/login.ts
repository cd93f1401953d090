import { readFileSync } from "node:fs";
import type { Call, Command } from "../command.ts";
import { PROGRAM } from "../command.ts";
import { HUB_SERVER, serverOf, storeLogin, storedLogin, type Login } from "../engine/credentials.ts";
import { CommandFailure, DaemonError } from "../failure.ts";
import { readLine, readSecret } from "../output/ask.ts";
import { isTerminal, print, printLine, warn } from "../output/print.ts";
import { messageOf } from "../../base/errors.ts";

export const command: Command = {
  usage: "[OPTIONS] [SERVER]",
  arguments: { min: 0, max: 1 },
  flags: [
    { name: "password", short: "p", kind: "text", value: "string", usage: "Password or token; others on this machine can see it" },
    { name: "password-stdin", kind: "boolean", usage: "Read the password or token from standard input" },
    { name: "username", short: "u", kind: "text", value: "string", usage: "User name" },
  ],
  about: "At Docker Hub where no server is named. The engine checks the login; the client stores it and shows it with each pull.",
  examples: [["login -u robot --password-stdin registry.example.org < token", "from a script"]],
  async run(call) {
    const { config, flags, args } = call;
    const [given, fromStdin] = [flags.text("password"), flags.boolean("password-stdin")];
    if (given !== "" && fromStdin) throw new CommandFailure("conflicting options: cannot specify both --password and --password-stdin");
    if (given !== "") warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    const username = flags.text("username");
    if (fromStdin && username === "") throw new CommandFailure("the --password-stdin option requires --username to be set");
    const password = fromStdin ? readFileSync(0, "utf8").replace(/\r?\n$/, "") : given;
    const server = serverOf(args[0] ?? "");

    const stored = username === "" && password === "" ? storedLogin(config, server) : undefined;
    const again = stored?.username && stored.password ? await logInAgain(call, stored) : undefined;
    printLine(again ?? (await logIn(call, askFor(username, password, stored?.username ?? "", server))));
  },
};

/** With what is stored; undefined when that is no good any more. */
async function logInAgain(call: Call, login: Login): Promise<string | undefined> {
  warn(`Authenticating with existing credentials... [Username: ${login.username}]\n`);
  warn(` Info -> To login with a different account, run '${PROGRAM} logout' followed by '${PROGRAM} login'\n\n`);
  try {
    return await logIn(call, login);
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    warn(error.status === 401 ? "Stored credentials invalid or expired" : `Login did not succeed, error: ${messageOf(error)}`);
    return undefined;
  }
}

/** Has the engine check a login, and stores it. Gives the engine's word on it. */
async function logIn({ client, config }: Call, login: Login): Promise<string> {
  const { username, password, serveraddress } = login;
  const answer = await client.json<{ Status: string; IdentityToken?: string }>("POST", "/auth", {
    body: { username, password, serveraddress },
  });
  const token = answer.IdentityToken ?? "";
  const file = storeLogin(config, token === "" ? login : { username: username ?? "", identitytoken: token, serveraddress });
  if (file !== undefined) {
    warn(`
WARNING! Your credentials are stored unencrypted in '${file}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
`);
  }
  return answer.Status;
}

/** Asks for what was not given. */
function askFor(user: string, password: string, lastUser: string, server: string): Login {
  if ((user === "" || password === "") && !isTerminal(0))
    throw new CommandFailure("Error: Cannot perform an interactive login from a non TTY device");
  let username = user.trim();
  if (username === "") {
    if (server === HUB_SERVER) printLine("Log in with your Docker ID (hub.docker.com). A personal access token serves as the password.");
    print(lastUser === "" ? "Username: " : `Username (${lastUser}): `);
    username = readLine().trim() || lastUser;
    if (username === "") throw new CommandFailure("Error: Non-null Username Required");
  }
  let secret = password;
  if (secret === "") {
    print("Password: ");
    secret = readSecret();
    print("\n");
    if (secret === "") throw new CommandFailure("Error: Password Required");
  }
  return { username, password: secret, serveraddress: server };
}
