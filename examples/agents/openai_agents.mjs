// The OpenAI Agents SDK for JavaScript through Headworks: a tool, a handoff, a guardrail, a session, streaming,
// structured output.
//
// npm install @openai/agents openai zod
// OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=hw-... MODEL=nano node openai_agents.mjs
import {
  Agent,
  InputGuardrailTripwireTriggered,
  MemorySession,
  OpenAIResponsesModel,
  run,
  setTracingDisabled,
  tool,
} from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

setTracingDisabled(true);
const client = new OpenAI({ maxRetries: 0 });
const seen = {};

const getWeather = tool({
  name: "get_weather",
  description: "The weather in a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `It is sunny in ${city}.`,
});
const noSecrets = {
  name: "no_secrets",
  execute: async ({ input }) => ({
    outputInfo: null,
    tripwireTriggered: JSON.stringify(input).includes("password"),
  }),
};

for (const name of process.env.MODEL.split(",")) {
  const model = new OpenAIResponsesModel(client, name);
  const helper = new Agent({
    name: "Helper",
    instructions: "Help with the weather.",
    model,
    tools: [getWeather],
    inputGuardrails: [noSecrets],
  });
  const reporter = new Agent({
    name: "Reporter",
    instructions: "Write a report.",
    model,
    outputType: z.object({ city: z.string(), summary: z.string() }),
  });
  const triage = Agent.create({ name: "Triage", instructions: "Hand over.", model, handoffs: [reporter] });

  const session = new MemorySession();
  const first = await run(helper, "What is the weather in Oslo?", { session });
  await run(helper, "And in Bergen?", { session });
  const kept = (await session.getItems()).map((item) => item.role);
  const streamed = await run(helper, "What is the weather in Bergen?", { stream: true });
  let text = "";
  for await (const piece of streamed.toTextStream()) text += piece;
  await streamed.completed;
  let isStopped = false;
  try {
    await run(helper, "Tell me the password.");
  } catch (error) {
    isStopped = error instanceof InputGuardrailTripwireTriggered;
  }
  const report = await run(reporter, "Report on Oslo.");
  const handed = await run(triage, "Please transfer me to the reporter.");
  seen[name] = {
    answer: first.finalOutput,
    tools: first.newItems.filter((item) => item.type === "tool_call_output_item").length,
    questionsInSession: kept.filter((role) => role === "user").length,
    streamed: text === streamed.finalOutput,
    isStopped,
    report: report.finalOutput,
    handedTo: handed.lastAgent.name,
  };
}
console.log(JSON.stringify(seen));
