// A web application with the official Node SDK that answers only what is signed, and tells what it was asked.
//     node validator.cjs TOKEN
const http = require("http");
const twilio = require("twilio");

const [token] = process.argv.slice(2);
const document = new twilio.twiml.VoiceResponse();
document.redirect({ method: "GET" }, "/menu?a=1&b=%20x&room=caf%C3%A9");
const last = new twilio.twiml.VoiceResponse();
last.hangup();

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const form = {};
    for (const [name, value] of new URLSearchParams(Buffer.concat(chunks).toString())) {
      form[name] = name in form ? [].concat(form[name], value) : value;
    }
    const url = `http://${request.headers.host}${request.url}`;
    const signature = request.headers["x-twilio-signature"] || "";
    const params = request.method === "POST" ? form : {};
    const valid = twilio.validateRequest(token, signature, url, params);
    const forged = twilio.validateRequest(token, signature, url + "x", params);
    const place = new URL(url).pathname;
    console.log(JSON.stringify([request.method, place, valid, forged]));
    response.setHeader("Content-Type", "text/xml");
    response.end(place === "/voice" ? document.toString() : place === "/menu" ? last.toString() : "<Response/>");
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address().port)));
