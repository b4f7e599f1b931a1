// A client of accountd for Node 18 or newer, on Node alone. Its types are those of `accountd schema --ts accountd.ts`,
// which TypeScript reads here, too: { "allowJs": true } or "checkJs". Copy it, and change what you like.
import { execFileSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { lstatSync, realpathSync } from "node:fs";
import { connect as openSocket } from "node:net";
import { dirname } from "node:path";
import { createInterface } from "node:readline";

/** @typedef {import("./accountd.js").Methods} Methods */
/** @typedef {import("./accountd.js").Notifications} Notifications */
/** @typedef {{ send(text: string): void, close(): void, onText: (text: string) => void, onEnd: () => void }} Channel */

/**
 * Refuse a socket that somebody else could serve. Node does not tell who listens, as SO_PEERCRED would; but only who
 * may write to a folder can put a socket there. So each folder on the way has to be this user's or root's, and closed
 * to others; in a sticky one, such as /tmp, what is there has to be. Connect to the path that this returns.
 * @param {string} path
 */
export function checkOwner(path) {
  const real = realpathSync(path);
  for (let place = real, above = ""; place !== above; above = place, place = dirname(place)) {
    const { uid, mode } = lstatSync(place);
    const isOpen = place !== real && (mode & 0o022) !== 0 && (mode & 0o1000) === 0;
    if ((uid !== 0 && uid !== process.getuid?.()) || isOpen) {
      throw new Error(`${path} may be another user's: look at the owner and the mode of ${place}`);
    }
  }
  return real;
}

/** One JSON object a line. @param {string} path @returns {Promise<Channel>} */
export async function openLines(path) {
  const socket = openSocket(path);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  /** @type {Channel} */
  const channel = {
    send: (text) => socket.write(`${text}\n`),
    close: () => socket.end(),
    onText: () => {},
    onEnd: () => {},
  };
  createInterface({ input: socket }).on("line", (line) => channel.onText(line));
  socket.on("error", () => {}).on("close", () => channel.onEnd());
  return channel;
}

/** An answer of the daemon that is an error. `reason` is what to decide by; docs/protocol.md lists the reasons. */
export class CallFailed extends Error {
  /** @param {{ code: number, message: string, data?: any }} error */
  constructor({ code, message, data }) {
    super(message);
    this.code = code;
    this.reason = /** @type {string | undefined} */ (data?.accountd?.reason);
  }
}

/** A connection. It emits each notification by its method, with its params; and `end` when the daemon has gone. */
export class Client extends EventEmitter {
  #channel;
  #nextId = 0;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();

  /** @param {Channel} channel */
  constructor(channel) {
    super();
    this.#channel = channel;
    // Each in a turn of its own, so that whoever awaits an answer is there for what is said behind it.
    channel.onText = (text) => setImmediate(() => this.#take(JSON.parse(text)));
    channel.onEnd = () => setImmediate(() => this.#end(new Error("the daemon has ended the connection")));
  }

  /**
   * Ask, and wait for the result. Throws CallFailed.
   * @template {keyof Methods} M @param {M} method @param {Methods[M]["params"]} [params]
   * @returns {Promise<Methods[M]["result"]>}
   */
  call(method, params) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#channel.send(JSON.stringify({ id, method, params }));
    });
  }

  /** Hear a notification. @template {keyof Notifications} N @param {N} method @param {(params: Notifications[N]) => void} hear */
  onNotification(method, hear) {
    return this.on(method, hear);
  }

  close() {
    this.#channel.close();
  }

  /** @param {Error} error */
  #end(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.emit("end");
  }

  /** @param {any} message */
  #take(message) {
    if (message.method !== undefined) {
      if (message.id === undefined) this.emit(message.method, message.params);
      return; // only clients that gave the daemon tokens of their own are asked something
    }
    if (message.id === null) return this.#end(new CallFailed(message.error)); // of no request, such as: too many clients
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error) waiting?.reject(new CallFailed(message.error));
    else waiting?.resolve(message.result);
  }
}

/**
 * Connect, and introduce this program. `accountd socket` names the socket, and starts the daemon where there is none.
 * @param {{ name: string, version: string, path?: string, open?: (path: string) => Promise<Channel> }} options
 */
export async function connect({ name, version, path, open = openLines }) {
  path ??= execFileSync("accountd", ["socket"], { encoding: "utf8" }).trimEnd();
  const client = new Client(await open(checkOwner(path)));
  const capabilities = { extensions: { accountd: {} } };
  await client.call("initialize", { clientInfo: { name, version }, capabilities });
  return client;
}
