/** Answers of the text protocol to what it does not understand. */
import { ascii } from "./output.ts";

export const ERROR = ascii("ERROR\r\n");
export const BAD_FORMAT = ascii("CLIENT_ERROR bad command line format\r\n");
export const BAD_EXPTIME = ascii("CLIENT_ERROR invalid exptime argument\r\n");
