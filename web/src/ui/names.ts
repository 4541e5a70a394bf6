/** What the server takes as a name, for fields; the same as in its interface's description. */
export const namePattern = "[A-Za-z0-9_\\-][A-Za-z0-9._\\-]{0,63}";
export const nameRule = "1 to 64 letters, digits, dots, dashes or underscores; no dot first";
