// Requests to the server: each bears the token of the address, which never leaves this page otherwise.

const token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
if (token) sessionStorage.setItem("token", token);

const headers = { Authorization: `Bearer ${token}` };

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function asked(path, options = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, { ...options, headers: { ...headers, ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; what was drawn is safe. Try again when it is back.");
  }
  if (response.ok) return response;
  let text = `${response.status}`;
  try {
    const body = await response.text();
    text = body.startsWith("{") ? JSON.parse(body).error : body;
  } catch { /* the status has to do */ }
  throw new Refused(response.status, text);
}

export async function get(path) {
  return (await asked(path)).json();
}

export async function post(path, body) {
  return (await asked(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();
}

const LATER = [403, 503, 507];  // another token; the server is busy; the disk is full, or its folder is away

// A change that is sent again until it is on the disk. Its number keeps it from being made twice.
export async function insist(path, body, waiting) {
  const change = { ...body, id: crypto.getRandomValues(new Uint32Array(4)).join("-").slice(0, 40) };
  for (;;) {
    try {
      return await post(path, change);
    } catch (error) {
      if (error instanceof Refused && !LATER.includes(error.status)) throw error;
      waiting(error);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

// What a person can do about a server that is away.
export function advice(error) {
  const what = error?.status === 403 ? "The server has another token now: end it." : "The server does not answer.";
  return `${what} Start biounet serve again with\n--port=${location.port} --token=${token}\nand this page goes on.`;
}

// Integers, which the browser has unpacked already; with what the server says of them.
export async function integers(path, signal) {
  const response = await asked(path, { signal });
  return { buffer: await response.arrayBuffer(), told: (name) => response.headers.get(`x-${name}`) };
}

export async function save(path) {
  const response = await asked(path);
  const [, coded, plain] = /filename(?:\*=utf-8''([^;]+)|="([^"]+)")/.exec(response.headers.get("content-disposition"));
  const name = coded ? decodeURIComponent(coded) : plain;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Server-sent events by fetch, since an EventSource cannot bear a token; tries again when the server was away.
export async function events(hear, connection) {
  for (;;) {
    let problem;
    try {
      const response = await asked("events");
      await connection(true);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const parts = text.split("\n\n");
        text = parts.pop();
        for (const part of parts) if (part.startsWith("data: ")) hear(JSON.parse(part.slice(6)));
      }
    } catch (error) {
      problem = error;
    }
    connection(false, problem);
    await new Promise((done) => setTimeout(done, 1500));
  }
}
