// The WebSocket of accountd, for `connect({ open: openWebSocket })`: for a program that has its framing anyhow. What
// Node itself has opens no Unix socket, and so does without the framing; this is the client's half of RFC 6455.
import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const [CONTINUATION, TEXT, CLOSE, PING, PONG] = [0x0, 0x1, 0x8, 0x9, 0xa];

/** @param {string} path @returns {Promise<import("./accountd.mjs").Channel>} */
export async function openWebSocket(path) {
  const key = randomBytes(16).toString("base64");
  const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key };
  const asked = request({ socketPath: path, host: "localhost", path: "/", headers });
  /** @type {[import("node:http").IncomingMessage, import("node:stream").Duplex, Buffer]} */
  const [answer, socket, head] = await new Promise((resolve, reject) => {
    asked.once("upgrade", (...upgraded) => resolve(upgraded)).once("error", reject).end();
    asked.once("response", ({ statusCode }) => reject(new Error(`the upgrade was answered with ${statusCode}`)));
  });
  const accepted = createHash("sha1").update(key + GUID).digest("base64");
  if (answer.headers["sec-websocket-accept"] !== accepted) throw new Error("what listens there speaks no WebSocket");

  /** @param {number} opcode @param {Buffer} payload */
  const write = (opcode, payload) => {
    const size = payload.length;
    const length = size < 126 ? [size] : size < 65536 ? [126, size >> 8, size & 255] : [127, 0, 0, 0, 0, ...bytesOf(size)];
    length[0] |= 0x80; // masked, as all that a client sends
    const mask = randomBytes(4);
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode, ...length]), mask, payload.map((byte, i) => byte ^ mask[i & 3])]));
  };
  /** @type {import("./accountd.mjs").Channel} */
  const channel = {
    send: (text) => write(TEXT, Buffer.from(text)),
    close: () => write(CLOSE, Buffer.from([0x03, 0xe8])),
    onText: () => {},
    onEnd: () => {},
  };

  let buffer = head;
  /** @type {Buffer[]} */
  let parts = [];
  const read = () => {
    for (let frame = cut(buffer); frame; frame = cut(buffer)) {
      buffer = frame.rest;
      if (frame.opcode === PING) write(PONG, frame.payload);
      else if (frame.opcode === CLOSE) socket.end();
      else if (frame.opcode === TEXT || frame.opcode === CONTINUATION) {
        parts.push(frame.payload);
        if (!frame.final) continue;
        const text = Buffer.concat(parts).toString();
        parts = [];
        channel.onText(text);
      }
    }
  };
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    read();
  });
  socket.on("error", () => {}).on("close", () => channel.onEnd());
  setImmediate(read); // what came with the head, once somebody listens
  return channel;
}

/** @param {number} size */
const bytesOf = (size) => [size >>> 24, (size >>> 16) & 255, (size >>> 8) & 255, size & 255];

/** Cut the first frame off, if it is whole. A server's are not masked. @param {Buffer} buffer */
function cut(buffer) {
  if (buffer.length < 2) return null;
  let size = buffer[1] & 0x7f;
  let start = 2;
  if (size === 126) {
    if (buffer.length < (start = 4)) return null;
    size = buffer.readUInt16BE(2);
  } else if (size === 127) {
    if (buffer.length < (start = 10)) return null;
    size = Number(buffer.readBigUInt64BE(2));
  }
  if (buffer.length < start + size) return null;
  const payload = buffer.subarray(start, start + size);
  return { final: (buffer[0] & 0x80) !== 0, opcode: buffer[0] & 0xf, payload, rest: buffer.subarray(start + size) };
}
