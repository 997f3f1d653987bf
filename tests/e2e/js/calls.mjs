// Calls a gateway with the official JavaScript SDK and prints what came, as one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = process.env.MODEL;
const messages = [{ role: "user", content: "Say hello." }];
const seen = {};

seen.response = (await client.responses.create({ model, input: "Say hello." })).output_text;
seen.completion = (await client.chat.completions.create({ model, messages })).choices[0].message.content;

const chunks = [];
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  chunks.push(chunk.choices[0].delta.content ?? "");
}
seen.chatStream = chunks.join("");
seen.chatAccumulated = await client.chat.completions.stream({ model, messages }).finalContent();

const kinds = [];
const stream = client.responses.stream({ model, input: "Say hello." });
for await (const event of stream) kinds.push(event.type);
seen.kinds = [kinds[0], kinds.at(-1)];
seen.streamed = (await stream.finalResponse()).output_text;

try {
  await client.responses.create({ model, input: 5 });
} catch (error) {
  seen.error = { name: error.constructor.name, status: error.status, code: error.code };
}
console.log(JSON.stringify(seen));
