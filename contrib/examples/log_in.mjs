// Log in with a code, follow the login, read the account, and hear of changes until nobody is logged in.
import { connect } from "./accountd.mjs";
import { openWebSocket } from "./websocket.mjs";

const open = process.argv.includes("--websocket") ? openWebSocket : undefined;
const client = await connect({ name: "example", version: "1", open });

const login = await client.call("account/login/start", { type: "chatgptDeviceCode" });
console.log(`Open ${login.verificationUrl} and type ${login.userCode}`);
const cancel = () => client.call("account/login/cancel", { loginId: login.loginId });
process.once("SIGINT", cancel); // then it completes as one that has failed

client.on("account/updated", async () => {
  const { account } = await client.call("account/read", {});
  console.log(account ? `Logged in as ${account.email ?? account.type}` : "Nobody is logged in");
  if (!account) client.close();
});
client.on("account/login/progress", ({ loginId, state }) => {
  if (loginId === login.loginId) console.log(`The login is ${state}`);
});
const completed = await new Promise((resolve) => {
  client.on("account/login/completed", (params) => params.loginId === login.loginId && resolve(params));
});
if (!completed.success) {
  console.error(`Nobody new is logged in: ${completed.error}`);
  process.exit(1);
}
