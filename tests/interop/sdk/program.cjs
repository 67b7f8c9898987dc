// The same as blocking.py with the official Node SDK, any version from 3.0 on.
//     node program.cjs URL SID TOKEN OUR-NUMBER MUSIC
const readline = require("readline");
const twilio = require("twilio");

const [url, sid, token, ours, music] = process.argv.slice(2);
const clientOf = (password) => {
  const client = twilio(sid, password);
  client.api.baseUrl = url;
  return client;
};
const client = clientOf(token);
const told = {};
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const sleep = () => new Promise((resolve) => setTimeout(resolve, 50));
const codeOf = async (asked) => {
  try {
    await asked;
  } catch (error) {
    return [error.status, error.code];
  }
  return null;
};
const statusesOf = async (sids) =>
  [...new Set(await Promise.all(sids.map(async (each) => (await client.calls(each).fetch()).status)))].join();

async function main() {
  let number = await client.incomingPhoneNumbers.create({ phoneNumber: "+15550100777", friendlyName: "desk" });
  number = await client.incomingPhoneNumbers(number.sid).update({ voiceUrl: music, voiceMethod: "GET" });
  told["number"] = [number.phoneNumber, number.friendlyName, number.voiceMethod];
  told["numbers"] = (await client.incomingPhoneNumbers.list()).length;
  told["number deleted"] = await client.incomingPhoneNumbers(number.sid).remove();

  const queue = await client.queues.create({ friendlyName: "sales", maxSize: 7 });
  told["queue"] = [queue.friendlyName, queue.maxSize, queue.currentSize];
  told["queue twice"] = await codeOf(client.queues.create({ friendlyName: "sales" }));
  told["queue members"] = (await client.queues(queue.sid).members.list()).length;
  told["queue deleted"] = await client.queues(queue.sid).remove();

  const twiml = "<Response><Dial><Conference>room</Conference></Dial></Response>";
  const calls = [];
  for (const name of ["alice", "bob"]) calls.push(await client.calls.create({ to: `client:${name}`, from: ours, twiml }));
  told["made"] = [...new Set(calls.map((call) => call.status))];
  const both = calls.map((call) => call.sid);
  while ((await statusesOf(both)) !== "in-progress") await sleep();
  while ((await client.conferences.list({ status: "in-progress" })).length !== 1) await sleep();
  const [conference] = await client.conferences.list({ friendlyName: "room", status: "in-progress" });
  const participants = client.conferences(conference.sid).participants;
  told["participants"] = (await participants.list()).length;
  const alice = client.conferences(conference.sid).participants(both[0]);
  told["held"] = (await alice.update({ hold: true, holdUrl: music, holdMethod: "GET" })).hold;
  console.log("held");
  await lines.next();
  told["who is held"] = (await participants.list({ hold: true })).map((each) => each.callSid === both[0]);
  told["resumed"] = (await alice.update({ hold: false, muted: true })).hold;
  told["muted"] = (await alice.fetch()).muted;
  console.log("resumed");
  await lines.next();

  told["paged"] = (await client.calls.list({ pageSize: 1 })).map((each) => each.sid).join() === [...both].reverse().join();
  told["limited"] = (await client.calls.list({ limit: 1 })).length;
  told["unknown"] = await codeOf(client.calls("CA" + "0".repeat(32)).fetch());
  await client.conferences(conference.sid).update({ status: "completed" });
  while ((await statusesOf(both)) !== "completed") await sleep();
  told["over"] = await codeOf(client.calls(both[0]).update({ status: "completed" }));
  told["gone"] = await codeOf(alice.update({ hold: true }));
  told["call deleted"] = await client.calls(both[0]).remove();
  told["stranger"] = await codeOf(clientOf("wrong").calls(both[1]).fetch());
  console.log(JSON.stringify(told));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
