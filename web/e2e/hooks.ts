import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";

/** An event as a webhook heard it. */
export interface Heard {
  headers: IncomingMessage["headers"];
  body: string;
}

/** Listens where the server may send webhooks, and keeps what it hears. */
export async function listen(address: string) {
  const heard: Heard[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    heard.push({ headers: request.headers, body });
    response.writeHead(204).end();
  });
  const { hostname, port } = new URL(address);
  await new Promise<void>((resolve) => server.listen(Number(port), hostname, resolve));
  return { heard, close: () => server.close() };
}

/** Whether the signature is right, as libraries of Standard Webhooks look. */
export function isSigned({ headers, body }: Heard, secret: string): boolean {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const right = createHmac("sha256", key).update(signed).digest();
  const [version, signature = ""] = String(headers["webhook-signature"]).split(",");
  const told = Buffer.from(signature, "base64");
  return version === "v1" && told.length === right.length && timingSafeEqual(told, right);
}

/** A one-time code (RFC 6238), as an authenticator app shows it so many steps from now. */
export function oneTimeCode(secret: string, steps: number): string {
  const bits = [...secret]
    .map((letter) =>
      "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
    )
    .join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const tag = createHmac("sha1", key).update(counter).digest();
  const number = tag.readUInt32BE((tag.at(-1) ?? 0) & 0xf) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
