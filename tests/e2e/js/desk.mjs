// Calls the support desk's workloads with the official JavaScript SDK and prints what came, as one JSON object.
import OpenAI from "openai";
import { standardResponseFormat, standardTextFormat } from "openai/helpers/standard-schema";

const { BASE_URL, API_KEY, BOSS_KEY, VARIABLES, SCHEMA } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const boss = new OpenAI({ baseURL: BASE_URL, apiKey: BOSS_KEY, maxRetries: 0 });
const name = "ticket-triage";
const variables = JSON.parse(VARIABLES);
const prompt = { id: name, version: "1", variables };
const chat = { model: name, messages: [], prompt: { variables } }; // what the SDK does not know goes up as it is
const seen = {};

async function failure(call) {
  try {
    await call();
    return null;
  } catch (error) {
    const { status, code, param, type, message } = error;
    return { name: error.constructor.name, status: status ?? null, code, param: param ?? null, type, message };
  }
}

// -- answers, whole and streamed --------------------------------------------------------------------------------------

const { data, response } = await client.responses.create({ prompt }).withResponse();
seen.response = data.output_text;
seen.headers = Object.fromEntries([...response.headers].filter(([key]) => key.startsWith("x-headworks-")));
seen.completion = (await client.chat.completions.create(chat)).choices[0].message.content;

const stream = client.responses.stream({ prompt });
seen.deltas = "";
seen.kinds = [];
for await (const event of stream) {
  seen.kinds.push(event.type);
  if (event.type === "response.output_text.delta") seen.deltas += event.delta;
}
seen.streamed = (await stream.finalResponse()).output_text;
seen.chatDeltas = "";
for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
  seen.chatDeltas += chunk.choices[0]?.delta.content ?? "";
}
seen.chatStreamed = await client.chat.completions.stream(chat).finalContent();

// -- parse: with the contract's own schema, which a caller may repeat, and with another --------------------------------

const schema = {
  "~standard": {
    version: 1,
    vendor: "headworks-e2e",
    validate: (value) => (typeof value.team === "string" ? { value } : { issues: [{ message: "no team" }] }),
  },
};
const own = { schema: JSON.parse(SCHEMA) };
const other = { schema: { type: "object", properties: { team: { type: "string" } }, required: ["team"] } };
seen.parsed = (await client.responses.parse({ prompt, text: { format: standardTextFormat(schema, name, own) } })).output_parsed;
const parsing = { ...chat, response_format: standardResponseFormat(schema, name, own) };
seen.chatParsed = (await client.chat.completions.parse(parsing)).choices[0].message.parsed;
seen.otherForm = await failure(() =>
  client.responses.parse({ prompt, text: { format: standardTextFormat(schema, name, other) } }),
);

// -- what is wrong ----------------------------------------------------------------------------------------------------

const { ticket, ...rest } = variables;
seen.missing = await failure(() => client.responses.create({ prompt: { id: name, variables: rest } }));
seen.chatMissing = await failure(() => client.chat.completions.create({ ...chat, prompt: { variables: rest } }));
seen.streamedMissing = await failure(() => client.responses.create({ prompt: { id: name, variables: rest }, stream: true }));
seen.version = await failure(() => client.responses.create({ prompt: { ...prompt, version: "9" } }));
seen.fixed = await failure(() => client.responses.create({ prompt, temperature: 1.5 }));
seen.embedding = await failure(() => client.embeddings.create({ model: name, input: "x" }));

// -- a tool call that waits for a person ------------------------------------------------------------------------------

const refund = [
  { role: "user", content: "Please refund my order SD-104233, it came late." },
  { type: "function_call", call_id: "c1", name: "look_up_order", arguments: '{"order": "SD-104233"}' },
  { type: "function_call_output", call_id: "c1", output: "{}" },
];
const pending = await client.responses.create({ model: "assistant", input: refund });
const approval = pending.metadata["headworks.approvals"];
seen.held = { status: pending.status, output: pending.output, polled: (await client.responses.retrieve(pending.id)).status };
seen.mayNotDecide = await failure(() => client.post(`/approvals/${approval}`, { body: { decision: "approve" } }));
seen.decided = (await boss.post(`/approvals/${approval}`, { body: { decision: "approve" } })).state;
const answer = await client.responses.retrieve(pending.id);
seen.approved = { status: answer.status, tool: answer.output.at(-1).name, arguments: JSON.parse(answer.output.at(-1).arguments) };

seen.heldStream = await failure(async () => {
  for await (const _ of await client.responses.create({ model: "assistant", input: refund, stream: true }));
});
const call = { id: "c1", type: "function", function: { name: "look_up_order", arguments: '{"order": "SD-104233"}' } };
seen.heldChat = await failure(() =>
  client.chat.completions.create({
    model: "assistant",
    messages: [
      { role: "user", content: refund[0].content },
      { role: "assistant", tool_calls: [call] },
      { role: "tool", tool_call_id: "c1", content: "{}" },
    ],
  }),
);
console.log(JSON.stringify(seen));
