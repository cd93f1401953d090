import { main } from "../cli/cli.ts";

/** The `tsubo` command. */
void main(process.argv.slice(2));
