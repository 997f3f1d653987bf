// Asks a real model through a gateway with the official JavaScript SDK and prints what came, as one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = process.env.MODEL;
const messages = [{ role: "user", content: "Name a colour." }];
const seen = {};

seen.chat = (await client.chat.completions.create({ model, messages, max_tokens: 16 })).choices[0].message.content;
const asked = { model, input: "Name a colour.", max_output_tokens: 16 };
seen.response = (await client.responses.create(asked)).output_text;
const pieces = [];
const stream = client.responses.stream(asked);
stream.on("response.output_text.delta", (event) => pieces.push(event.delta));
seen.final = (await stream.finalResponse()).output_text;
seen.streamed = pieces.join("");
console.log(JSON.stringify(seen));
