// The client of the Perspective API against a service that is played here; nothing leaves the machine.

import { perspectiveClassifier, type PerspectiveOptions } from "../src/label/perspective.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "./assert.ts";

interface Sent {
  url: string;
  headers: Record<string, string>;
  body: { comment: { text: string }; [field: string]: unknown };
  at: number;
}

/** A service that answers each request with the next answer, and a clock that only `sleep` moves. */
function service(...answers: (Response | Error)[]) {
  const sent: Sent[] = [];
  let clock = 0;
  const options: PerspectiveOptions = {
    apiKey: "invented-key",
    now: () => clock,
    sleep: (milliseconds) => {
      clock += milliseconds;
      return Promise.resolve();
    },
    fetch: (url, init) => {
      const headers = init.headers as Record<string, string>;
      sent.push({ url, headers, body: JSON.parse(init.body as string), at: clock });
      const answer = answers.shift()!;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  return { sent, options };
}

const scored = (value: number, attribute = "TOXICITY") =>
  Response.json({
    attributeScores: { [attribute]: { summaryScore: { value, type: "PROBABILITY" } } },
  });
const failed = (status: number, message = "so it is") =>
  Response.json({ error: { code: status, message } }, { status });

Deno.test("a text is sent as the service wants it, the key in a header, and not to be stored", async () => {
  const { sent, options } = service(scored(0.25));
  assertEquals([...await perspectiveClassifier(options).score(["You grul."])], [0.25]);
  assertEquals(sent[0]!.url, "https://commentanalyzer.googleapis.com/v1alpha1/comments:analyze");
  assertEquals(sent[0]!.headers["x-goog-api-key"], "invented-key");
  assertEquals(sent[0]!.body, {
    comment: { text: "You grul." },
    languages: ["en"],
    requestedAttributes: { TOXICITY: {} },
    doNotStore: true,
  });
});

Deno.test("requests leave one second apart, or as the quota allows", async () => {
  for (const [perSecond, gap] of [[undefined, 1000], [10, 100]] as const) {
    const { sent, options } = service(scored(0.1), scored(0.2), scored(0.3));
    const classifier = perspectiveClassifier({ ...options, ...perSecond && { perSecond } });
    assertEquals([...await classifier.score(["a", "b", "c"])], [0.1, 0.2, 0.3]);
    assertEquals(sent.map(({ at }) => at), [0, gap, 2 * gap]);
  }
});

Deno.test("texts without a letter or digit score 0 and are not sent", async () => {
  const { sent, options } = service(scored(0.5));
  assertEquals([...await perspectiveClassifier(options).score(["", " …!", "a"])], [0, 0, 0.5]);
  assertEquals(sent.length, 1);
});

Deno.test("a busy, failing or unreachable service is asked again, each time after a longer wait", async () => {
  const { sent, options } = service(failed(429), failed(503), new Error("no route"), scored(0.5));
  assertEquals([...await perspectiveClassifier(options).score(["a"])], [0.5]);
  assertEquals(sent.map(({ at }) => at), [0, 1000, 3000, 7000]);
});

Deno.test("it gives up after the last attempt and says why", async () => {
  const { sent, options } = service(failed(429), failed(429), failed(429));
  const classifier = perspectiveClassifier({ ...options, attempts: 3 });
  await assertRejects(async () => await classifier.score(["a"]), "quota is used up (HTTP 429), 3");
  assertEquals(sent.length, 3);
});

Deno.test("a refusal is passed on at once, without the key", async () => {
  const { sent, options } = service(failed(400, "Attribute ODD is unknown"));
  const classifier = perspectiveClassifier({ ...options, attribute: "ODD" });
  const error = await Promise.resolve(classifier.score(["a"])).then(() => undefined, String);
  assert(error!.includes("the service refused: Attribute ODD is unknown (HTTP 400)"), error);
  assert(!error!.includes("invented-key"), "the key stays out of messages");
  assertEquals(sent.length, 1);
});

Deno.test("an answer without the score, a long text, no key and no rate are refused", async () => {
  const odd = service(scored(0.5, "INSULT"));
  await assertRejects(
    async () => await perspectiveClassifier(odd.options).score(["a"]),
    "no summary score of TOXICITY",
  );
  const { sent, options } = service();
  await assertRejects(
    async () => await perspectiveClassifier(options).score(["ü".repeat(10_241)]),
    "text 0 has 20482 bytes, the limit is 20480",
  );
  assertEquals(sent.length, 0);
  assertThrows(() => perspectiveClassifier({ apiKey: "" }), "there is no API key");
  assertThrows(() => perspectiveClassifier({ apiKey: "k", perSecond: 0 }), "0 requests a second");
});
