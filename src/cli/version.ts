/** The version of this client. */
export const VERSION = "0.1.0";
/** The commit it was built from. */
export const BUILD = "dev";
