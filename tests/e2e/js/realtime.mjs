// Talks to a gateway over Realtime with the official JavaScript SDK: as a server does, and as a page in a browser.
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket; // what a browser has, Node.js has since version 22

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, dangerouslyAllowBrowser: true });
const model = process.env.MODEL;

function talk(session) {
  return new Promise((resolve, reject) => {
    let text = "";
    session.on("error", reject);
    session.on("session.created", () => {
      session.send({ type: "session.update", session: { type: "realtime", output_modalities: ["text"] } });
      const content = [{ type: "input_text", text: "Say hello." }];
      session.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
      session.send({ type: "response.create" });
    });
    session.on("response.output_text.delta", (event) => (text += event.delta));
    session.on("response.done", (event) => {
      session.socket.addEventListener("close", (closed) =>
        resolve({ text, status: event.response.status, code: closed.code }),
      );
      session.close();
    });
  });
}

const seen = {
  server: await talk(new OpenAIRealtimeWS({ model }, client)),
  browser: await talk(new OpenAIRealtimeWebSocket({ model, dangerouslyAllowBrowser: true }, client)),
};
console.log(JSON.stringify(seen));
