// Has the official JavaScript SDK put streams together, over each of several models; prints what came of each.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const asked = "What is the weather in Oslo?";
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather = { name: "get_weather", parameters, strict: true };
const seen = {};

for (const model of process.env.MODEL.split(",")) {
  const messages = [{ role: "user", content: asked }];
  const completion = await client.chat.completions.create({ model, messages });
  const chat = client.chat.completions.stream({
    model,
    messages,
    tools: [{ type: "function", function: weather }],
    tool_choice: "required",
  });
  const response = await client.responses.create({ model, input: asked, store: false });
  const responses = client.responses.stream({
    model,
    input: asked,
    store: false,
    tools: [{ type: "function", ...weather }],
    tool_choice: "required",
  });
  const text = client.responses.stream({ model, input: asked, store: false });
  let pieces = "";
  text.on("response.output_text.delta", (event) => (pieces += event.delta));
  const called = (await chat.finalMessage()).tool_calls.map((one) => one.function);
  const calls = (await responses.finalResponse()).output.filter((item) => item.type === "function_call");
  seen[model] = {
    completion: completion.choices[0].message.content,
    response: response.output_text,
    chatStream: await client.chat.completions.stream({ model, messages }).finalContent(),
    responsesStream: (await text.finalResponse()).output_text,
    pieces,
    called: called.map((one) => [one.name, JSON.parse(one.arguments)]),
    calls: calls.map((one) => [one.name, JSON.parse(one.arguments)]),
  };
}
console.log(JSON.stringify(seen));
