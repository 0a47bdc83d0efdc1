// Asks the API, with the token where one is wanted.

const at = (id) => document.getElementById(id);
let asking = null;

/** Ask for the token once, however many requests were refused. */
function askForToken() {
  asking ??= new Promise((given) => {
    const dialog = at("token");
    if (sessionStorage.getItem("token")) at("token-said").textContent = "That token was refused.";
    sessionStorage.removeItem("token");
    at("token-input").value = "";
    dialog.addEventListener("close", () => {
      sessionStorage.setItem("token", at("token-input").value);
      asking = null;
      given();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** The token as header text: headers carry bytes, so other letters go as their UTF-8. */
const bearer = (token) => `Bearer ${String.fromCharCode(...new TextEncoder().encode(token))}`;

export async function ask(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const response = await fetch(path, { ...options, headers: token ? { Authorization: bearer(token) } : {} });
    if (response.status === 401) {
      if (token === sessionStorage.getItem("token")) await askForToken();
      continue;
    }
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).detail ?? `status ${response.status}`);
    return response;
  }
}

export const get = async (path) => (await ask(path)).json();

/** The events of a response, as [name, data]; comments are passed over. */
export async function* eventsOf(response, onBytes) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      if (name) yield [name, JSON.parse(data)];
    }
  }
}
