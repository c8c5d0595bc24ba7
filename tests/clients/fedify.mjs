// A server of another make for the hub to talk to, built with Fedify: its signing, verifying and JSON-LD are not ours.
// Usage: node fedify.mjs [PORT [CONTROL_PORT]]. It says `control http://…`, `ready http://localhost:…` and obeys POSTs of
// JSON to the control address: {do, as, scheme, …}. A scheme is what vouches for an activity: `normal` (all that Fedify does by itself),
// or one thing alone: `cavage`, `rfc9421` (both without a proof), `proof` (with an HTTP signature that is broken).
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { Temporal } from "@js-temporal/polyfill";
import {
  createFederation, generateCryptoKeyPair, InProcessMessageQueue, MemoryKvStore, signObject, signRequest, verifyObject, verifyRequest,
} from "@fedify/fedify";
import {
  Accept, Activity, Announce, Block, Create, Delete, Endpoints, Flag, Follow, isActor, Like, Mention, Move, Note, Object as AnyObject, Person, PUBLIC_COLLECTION,
  Reject, Tombstone, Undo, Update,
} from "@fedify/vocab";

const listens = async (port, host, onRequest) => {
  const server = serve(onRequest);
  await new Promise((resolve) => server.listen(port, host, resolve));
  return server.address().port;
};
const [port = 0, controlPort = 0] = process.argv.slice(2).map(Number);
const origin = `http://localhost:${await listens(port, "localhost", (request) => door(request))}`;
const PEOPLE = ["fay", "finn"];
const SPECS = { cavage: "draft-cavage-http-signatures-12", rfc9421: "rfc9421" };

const keys = new Map();
const notes = new Map();
const sent = new Map();
const received = [];
const followers = new Map(PEOPLE.map((name) => [name, new Map()]));
const following = new Map(PEOPLE.map((name) => [name, new Set()]));
let inboundScheme = "any";
let outboundScheme = "normal";
let answers = "accept";

// --- who lives here ------------------------------------------------------------------------------

function build(skipSignatureVerification) {
  const federation = createFederation({
    kv: new MemoryKvStore(),
    queue: new InProcessMessageQueue({ pollInterval: { milliseconds: 50 } }),
    allowPrivateAddress: true,
    skipSignatureVerification,
  });
  federation
    .setActorDispatcher("/users/{identifier}", async (ctx, name) => {
      if (!PEOPLE.includes(name)) return null;
      const pairs = await ctx.getActorKeyPairs(name);
      return new Person({
        id: ctx.getActorUri(name),
        preferredUsername: name,
        name: `${name} of Fedify`,
        url: new URL(`/@${name}`, origin),
        inbox: ctx.getInboxUri(name),
        outbox: ctx.getOutboxUri(name),
        followers: ctx.getFollowersUri(name),
        following: ctx.getFollowingUri(name),
        endpoints: new Endpoints({ sharedInbox: ctx.getInboxUri() }),
        publicKey: pairs[0].cryptographicKey,
        assertionMethods: pairs.map((pair) => pair.multikey),
      });
    })
    .setKeyPairsDispatcher(async (_, name) => {
      if (!PEOPLE.includes(name)) return [];
      if (!keys.has(name)) keys.set(name, Promise.all(["RSASSA-PKCS1-v1_5", "Ed25519"].map((kind) => generateCryptoKeyPair(kind))));
      return await keys.get(name);
    });
  federation.setOutboxDispatcher("/users/{identifier}/outbox", async (_, name) => ({
    items: [...sent.values()].filter((it) => it.as === name && it.activity instanceof Create).map((it) => it.activity),
  }));
  federation.setFollowersDispatcher("/users/{identifier}/followers", async (_, name) => ({ items: [...followers.get(name).values()] }));
  federation.setFollowingDispatcher("/users/{identifier}/following", async (_, name) => ({ items: [...following.get(name)].map((id) => new URL(id)) }));
  federation.setObjectDispatcher(Note, "/notes/{id}", async (_, { id }) => notes.get(`${origin}/notes/${id}`) ?? null);
  federation
    .setInboxListeners("/users/{identifier}/inbox", "/inbox")
    .setSharedKeyDispatcher(() => ({ identifier: PEOPLE[0] }))
    .on(Follow, onFollow)
    .on(Accept, (_, accept) => {
      // What an Accept embeds is somebody else's word: only a Follow that was really sent counts, by its id.
      const asked = sent.get(accept.objectId?.href);
      if (asked?.activity instanceof Follow && asked.activity.objectId.href === accept.actorId.href) following.get(asked.as).add(accept.actorId.href);
    })
    .on(Undo, async (ctx, undo) => {
      const follow = await undo.getObject(ctx);
      if (follow instanceof Follow) followers.get(nameOf(follow.objectId))?.delete(undo.actorId.href);
    })
    .on(Activity, () => {});
  return federation;
}

async function onFollow(ctx, follow) {
  const name = nameOf(follow.objectId);
  const actor = await follow.getActor(ctx);
  if (!PEOPLE.includes(name) || !isActor(actor) || answers === "nothing") return;
  if (answers === "accept") followers.get(name).set(actor.id.href, { id: actor.id, inboxId: actor.inboxId });
  const Answer = answers === "accept" ? Accept : Reject;
  await send(name, new Answer({ id: fresh(), actor: follow.objectId, to: actor.id, object: follow }), [actor.inboxId], outboundScheme);
}

const federation = build(false);
/** The same server behind a door that has checked already: for what comes in with one scheme alone. */
const behindTheDoor = build(true);
const ctx = federation.createContext(new URL(origin));
const loaders = { documentLoader: ctx.documentLoader, contextLoader: ctx.contextLoader };

const nameOf = (id) => id?.href.startsWith(`${origin}/users/`) ? id.href.slice(`${origin}/users/`.length) : null;
const fresh = () => new URL(`/activities/${randomUUID()}`, origin);
const url = (text) => text == null ? null : new URL(text);
const now = () => Temporal.Now.instant();

// --- the door ------------------------------------------------------------------------------------

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

async function door(request) {
  if (request.method !== "POST") return await federation.fetch(request, { contextData: undefined });
  const text = await request.clone().text();
  const said = { path: new URL(request.url).pathname, headers: Object.fromEntries(request.headers), body: text };
  said.signed = request.headers.has("signature-input") ? "rfc9421" : request.headers.has("signature") ? "cavage" : null;
  try { said.activity = JSON.parse(text); } catch { said.activity = null; }
  said.signature = said.signed != null &&
    (await verifyRequest(request.clone(), { ...loaders, spec: SPECS[said.signed] }).catch(() => null)) != null;
  const { signature: _, ...unsigned } = said.activity ?? {};
  said.proof = unsigned.proof != null && (await verifyObject(Activity, unsigned, loaders).catch(() => null)) != null;
  let answer;
  if (inboundScheme === "any") {
    answer = await federation.fetch(request, { contextData: undefined });
  } else if (inboundScheme === "proof") {
    const headers = new Headers(request.headers);
    for (const name of ["signature", "signature-input", "authorization"]) headers.delete(name);
    answer = await federation.fetch(new Request(request.url, { method: "POST", headers, body: text }), { contextData: undefined });
  } else if (said.signature && said.signed === inboundScheme) {
    const { proof: _, ...bare } = said.activity;
    answer = await behindTheDoor.fetch(new Request(request.url, { method: "POST", headers: request.headers, body: JSON.stringify(bare) }), { contextData: undefined });
  } else {
    answer = new Response(`This signature is not accepted; ${inboundScheme} is.`, { status: 401 });
  }
  received.push({ ...said, status: answer.status, at: Date.now() });
  return answer;
}

function serve(onRequest) {
  return createServer(async (incoming, outgoing) => {
    try {
      const body = await bodyOf(incoming);
      const hasBody = !["GET", "HEAD"].includes(incoming.method);
      const answer = await onRequest(new Request(`http://${incoming.headers.host}${incoming.url}`, {
        method: incoming.method,
        headers: Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
        ...(hasBody ? { body } : {}),
      }));
      outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
      outgoing.end(Buffer.from(await answer.arrayBuffer()));
    } catch (error) {
      console.error(error);
      outgoing.writeHead(500, { "content-type": "application/json" });
      outgoing.end(JSON.stringify({ error: String(error?.stack ?? error) }));
    }
  });
}

// --- sending -------------------------------------------------------------------------------------

/** As Fedify sends it: compacting shortens the name of everybody, and proofs are made over the whole one. */
function wire(json) {
  return JSON.stringify(json).replaceAll('"as:Public"', JSON.stringify(PUBLIC_COLLECTION.href));
}

async function post(name, json, inbox, scheme) {
  const [rsa] = await ctx.getActorKeyPairs(name);
  const plain = new Request(inbox, { method: "POST", headers: { "content-type": "application/activity+json" }, body: wire(json) });
  const spec = SPECS[scheme] ?? SPECS.cavage;
  const request = await signRequest(plain, rsa.privateKey, rsa.keyId, { spec });
  if (scheme === "proof") request.headers.set("signature", request.headers.get("signature").replace(/signature="..../, 'signature="AAAA'));
  const answer = await fetch(request);
  return { inbox: String(inbox), status: answer.status, body: await answer.text() };
}

async function send(name, activity, inboxes, scheme) {
  sent.set(activity.id.href, { as: name, activity, inboxes });
  const answers = [];
  for (const inbox of inboxes) {
    if (scheme === "normal") {
      // Fedify's own way: a proof, and an HTTP signature by the scheme that this host takes.
      try {
        await ctx.sendActivity({ identifier: name }, { id: inbox, inboxId: inbox }, activity, { immediate: true });
        answers.push({ inbox: String(inbox), status: 202, body: "" });
      } catch (error) {
        answers.push({ inbox: String(inbox), status: error.statusCode ?? 0, body: String(error.responseBody ?? error) });
      }
      continue;
    }
    let vouched = activity;
    if (scheme === "proof") {
      const pair = (await ctx.getActorKeyPairs(name)).find((it) => it.privateKey.algorithm.name === "Ed25519");
      vouched = await signObject(activity, pair.privateKey, pair.multikey.id, loaders);
    }
    answers.push(await post(name, await vouched.toJsonLd({ contextLoader: ctx.contextLoader, format: "compact" }), inbox, scheme));
  }
  return { id: activity.id.href, object: activity.objectId?.href ?? null, answers };
}

async function actorAt(id, name) {
  const found = await ctx.lookupObject(id, { documentLoader: await ctx.getDocumentLoader({ identifier: name }) });
  if (!isActor(found)) throw new Error(`${id} is no actor`);
  return found;
}

/** Where a command's activity goes: to inboxes that it names, to actors that it names, or to the followers. */
async function inboxesOf(command) {
  if (command.inbox) return [command.inbox].flat().map((it) => new URL(it));
  if (command.to || command.cc) {
    const actors = [command.to ?? [], command.cc ?? []].flat().filter((id) => id !== PUBLIC_COLLECTION.href && !id.endsWith("/followers"));
    if (actors.length) return await Promise.all(actors.map(async (id) => (await actorAt(id, command.as)).inboxId));
  }
  return [...followers.get(command.as).values()].map((it) => it.inboxId);
}

function audience(command) {
  const tos = (command.to ?? [PUBLIC_COLLECTION.href]).map(url);
  const ccs = (command.cc ?? (command.to ? [] : [ctx.getFollowersUri(command.as).href])).map(url);
  return { tos, ccs };
}

function note(command, id, before) {
  return new Note({
    id,
    attribution: ctx.getActorUri(command.as),
    content: command.content,
    summary: command.summary ?? null,
    sensitive: command.sensitive ?? null,
    replyTarget: url(command.in_reply_to) ?? before?.replyTargetId ?? null,
    tags: (command.mentions ?? []).map((href) => new Mention({ href: new URL(href), name: command.mention_name ?? href })),
    published: before?.published ?? now(),
    updated: before ? now() : null,
    url: id,
    tos: before?.toIds ?? audience(command).tos,
    ccs: before?.ccIds ?? audience(command).ccs,
  });
}

// --- commands ------------------------------------------------------------------------------------

const me = (command) => ({ id: url(command.id) ?? fresh(), actor: ctx.getActorUri(command.as) });

const commands = {
  settings(command) {
    inboundScheme = command.inbound ?? inboundScheme;
    outboundScheme = command.outbound ?? outboundScheme;
    answers = command.answers ?? answers;
    return { inboundScheme, outboundScheme, answers };
  },
  received: (command) => received.filter((it) => command.type == null || it.activity?.type === command.type),
  forget: () => ({ forgot: received.splice(0).length }),
  people: () => Object.fromEntries(PEOPLE.map((name) => [name, { id: ctx.getActorUri(name).href, inbox: ctx.getInboxUri(name).href, shared_inbox: ctx.getInboxUri().href, followers: [...followers.get(name).keys()], following: [...following.get(name)] }])),
  async lookup(command) {
    const loader = await ctx.getDocumentLoader({ identifier: command.as });
    const found = await ctx.lookupObject(command.url, { documentLoader: command.unsigned ? ctx.documentLoader : loader });
    return await found?.toJsonLd({ contextLoader: ctx.contextLoader });
  },
  async verify(command) {
    // Does a document that lies at an address carry a proof that Fedify believes?
    const { document } = await ctx.documentLoader(command.url);
    return { proof: document.proof != null, verified: (await verifyObject(AnyObject, document, loaders)) != null };
  },
  async follow(command) {
    const actor = await actorAt(command.actor, command.as);
    return await send(command.as, new Follow({ ...me(command), object: actor.id, to: actor.id }), [actor.inboxId], command.scheme);
  },
  async create(command) {
    const object = note(command, new URL(`/notes/${randomUUID()}`, origin));
    notes.set(object.id.href, object);
    const inboxes = await inboxesOf(command);
    return { ...await send(command.as, new Create({ ...me(command), object, ...audience(command), published: object.published }), inboxes, command.scheme), object: object.id.href };
  },
  async update(command) {
    const before = notes.get(command.object);
    const object = note({ content: before.content, ...command }, before.id, before);
    notes.set(object.id.href, object);
    return await send(command.as, new Update({ ...me(command), object, tos: before.toIds, ccs: before.ccIds }), await inboxesOf(command), command.scheme);
  },
  async delete(command) {
    const before = notes.get(command.object);
    notes.delete(command.object);
    const object = command.object.startsWith(`${origin}/users/`) ? new URL(command.object) : new Tombstone({ id: new URL(command.object) });
    return await send(command.as, new Delete({ ...me(command), object, tos: before?.toIds ?? [PUBLIC_COLLECTION] }), await inboxesOf(command), command.scheme);
  },
  like: async (command) => await send(command.as, new Like({ ...me(command), object: new URL(command.object) }), await inboxesOf(command), command.scheme),
  announce: async (command) => await send(command.as, new Announce({ ...me(command), object: new URL(command.object), tos: [PUBLIC_COLLECTION], ccs: [ctx.getFollowersUri(command.as)], published: now() }), await inboxesOf(command), command.scheme),
  async undo(command) {
    const before = sent.get(command.activity);
    return await send(command.as, new Undo({ ...me(command), object: before.activity, tos: before.activity.toIds }), command.inbox || command.to ? await inboxesOf(command) : before.inboxes, command.scheme);
  },
  block: async (command) => await send(command.as, new Block({ ...me(command), object: new URL(command.actor), to: new URL(command.actor) }), [(await actorAt(command.actor, command.as)).inboxId], command.scheme),
  flag: async (command) => await send(command.as, new Flag({ ...me(command), objects: command.objects.map(url), content: command.content }), await inboxesOf(command), command.scheme),
  move: async (command) => await send(command.as, new Move({ ...me(command), object: ctx.getActorUri(command.as), target: new URL(command.target) }), await inboxesOf(command), command.scheme),
  async raw(command) {
    const answers = [];
    for (const inbox of await inboxesOf(command)) answers.push(await post(command.as, command.activity, inbox, command.scheme));
    return { id: command.activity.id, answers };
  },
};

async function control(request) {
  const command = { as: PEOPLE[0], scheme: outboundScheme, ...await request.json() };
  const does = commands[command.do];
  if (!does) return Response.json({ error: `no command ${command.do}` }, { status: 400 });
  return Response.json((await does(command)) ?? null);
}

// --- start ---------------------------------------------------------------------------------------

await ctx.getActorKeyPairs(PEOPLE[0]);
console.log(`control http://127.0.0.1:${await listens(controlPort, "127.0.0.1", control)}`);
console.log(`ready ${origin}`);
// Its life is that of the test that started it.
process.stdin.on("end", () => process.exit(0)).resume();
