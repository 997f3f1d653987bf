// Portkey 1.15 answers every stream with 500 ("immutable"): it adds headers to the answer of fetch(), which Node
// does not allow. Loaded before it (node --import), this hands it a copy whose headers it may change, so that there
// is something to measure.
const fetched = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const answer = await fetched(...request);
  const { status, statusText } = answer;
  return new Response(answer.body, { status, statusText, headers: new Headers(answer.headers) });
};
