// Log in with a code, follow the login, read the account, and hear of changes until nobody is logged in.
//
// `accountd schema --ts accountd.ts` writes the types. Node 22.18 or newer runs this file as it is.
import type { AccountLoginCompletedNotification, LoginAccountResponse } from "./accountd.js";
import { connect } from "./accountd.mjs";

const client = await connect({ name: "example", version: "1" });

function requireCode(started: LoginAccountResponse) {
  if (started.type !== "chatgptDeviceCode") throw new Error(`a login of another type was begun: ${started.type}`);
  return started;
}

const { loginId, verificationUrl, userCode } = requireCode(
  await client.call("account/login/start", { type: "chatgptDeviceCode" }),
);
console.log(`Open ${verificationUrl} and type ${userCode}`);
process.once("SIGINT", () => client.call("account/login/cancel", { loginId })); // it completes then, without success

client.onNotification("account/updated", async () => {
  const { account } = await client.call("account/read", {});
  if (account === null) {
    console.log("Nobody is logged in");
    client.close();
  } else {
    console.log(`Logged in as ${account.type === "chatgpt" ? account.email : account.type}`);
  }
});
client.onNotification("account/login/progress", (progress) => {
  if (progress.loginId === loginId) console.log(`The login is ${progress.state}`);
});
const completed = await new Promise<AccountLoginCompletedNotification>((resolve) => {
  client.onNotification("account/login/completed", (params) => params.loginId === loginId && resolve(params));
});
if (!completed.success) {
  console.error(`Nobody new is logged in: ${completed.error}`);
  process.exit(1);
}
