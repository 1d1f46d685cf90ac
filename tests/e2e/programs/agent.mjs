// Calls a model with the openai package until it is refused, plain and streamed in turn.
// Writes one JSON object: how many calls were answered, and the error that ended it.
import { createRequire } from "node:module";

const { OpenAI } = createRequire(process.env.NODE_PACKAGES + "/")("openai");

const client = new OpenAI();
const messages = [{ role: "user", content: "Say something." }];
let answered = 0;
let error = null;
while (error === null && answered < 100) {
  try {
    const stream = answered % 2 === 1;
    const reply = await client.chat.completions.create({ model: "m", messages, max_tokens: 100, stream });
    if (stream) for await (const _ of reply);
    answered += 1;
  } catch (caught) {
    error = { class: caught.constructor.name, status: caught.status, code: caught.code, type: caught.type };
  }
}
console.log(JSON.stringify({ answered, error }));
