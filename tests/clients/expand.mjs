// Expands JSON-LD: one document per line comes in, one line per document goes out: {"expanded": …} or {"error": …}. Contexts
// come from those that Fedify carries, and from the hub's own when it is given as the first argument; nothing is fetched.
import { createInterface } from "node:readline";
import { preloadedContexts } from "@fedify/vocab-runtime";
import jsonld from "@fedify/vocab-runtime/jsonld";

const own = process.argv[2];

async function documentLoader(url) {
  if (url === "https://w3id.org/made-open/hub/v1" && own) {
    return { contextUrl: null, documentUrl: url, document: JSON.parse(own) };
  }
  const document = preloadedContexts[url];
  if (!document) throw new Error(`nothing is fetched, not even ${url}`);
  return { contextUrl: null, documentUrl: url, document };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  // What would be dropped is told instead.
  const dropped = [];
  const eventHandler = ({ event, next }) => {
    dropped.push({ code: event.code, ...event.details });
    next();
  };
  try {
    const expanded = await jsonld.expand(JSON.parse(line), { documentLoader, eventHandler });
    answer = { expanded, dropped };
  } catch (error) {
    answer = { error: String(error.message ?? error), details: JSON.stringify(error.details ?? null) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
