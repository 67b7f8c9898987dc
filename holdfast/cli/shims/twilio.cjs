// Point the official Twilio SDK of this Node process at HOLDFAST_API, whenever the program loads it.
//
// `holdfast run` names this file in NODE_OPTIONS. Both require("twilio") and import "twilio" end in Module._load.
"use strict";

const Module = require("node:module");

const API = /^api(\.[a-z0-9-]+){0,2}\.twilio\.com$/;
const CLIENT_MODULE = /(^|[\\/])(BaseTwilio|rest[\\/]Twilio)(\.js)?$/; // since SDK 4, and before
const REDIRECTED = Symbol("redirected to holdfast");

function redirect(Client, engine) {
  const own = typeof Client === "function" && Client.prototype;
  if (!own || !Object.hasOwn(own, "request") || own[REDIRECTED]) return;
  const request = own.request;
  own[REDIRECTED] = true;
  own.request = function (options) {
    const requested = new URL(options.uri);
    const isEngine = requested.origin === engine.origin;
    if (!isEngine && !API.test(requested.hostname)) return request.call(this, options);
    const uri = engine.origin + engine.pathname.replace(/\/$/, "") + requested.pathname + requested.search;
    // The SDK rewrites the host once more when an edge or a region is set; the engine has neither.
    const { edge, region } = this;
    this.edge = this.region = undefined;
    try {
      return request.call(this, { ...options, uri: isEngine ? options.uri : uri });
    } finally {
      Object.assign(this, { edge, region });
    }
  };
}

if (process.env.HOLDFAST_API) {
  const engine = new URL(process.env.HOLDFAST_API);
  const load = Module._load;
  Module._load = function (name, ...rest) {
    const loaded = load.call(this, name, ...rest);
    if (CLIENT_MODULE.test(name)) [loaded, loaded.Client, loaded.default].forEach((it) => redirect(it, engine));
    return loaded;
  };
}
