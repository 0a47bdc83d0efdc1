// Asks the API: signed in by a cookie that this script cannot see, where the monitor has tokens.

const at = (id) => document.getElementById(id);
const SESSION = "/api/v1/session";
let asking = null;
let session = null; // who we are, what we may do, and what goes with changes; null until it is asked for

/** Paths are the monitor's own; a reverse proxy may have put the page below one of its own. */
const here = (path) => new URL(path.slice(1), document.baseURI);

async function problemOf(response) {
  return (await response.json().catch(() => ({}))).detail ?? `status ${response.status}`;
}

/** Ask for the token until it is right, once, however many requests were refused. */
function signIn() {
  asking ??= new Promise((done) => {
    const [dialog, form, input, said] = ["token", "token-form", "token-input", "token-said"].map(at);
    form.onsubmit = async (event) => {
      event.preventDefault();
      try {
        const response = await fetch(here(SESSION), {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ token: input.value }),
        });
        if (!response.ok) throw new Error(await problemOf(response));
        session = await response.json();
      } catch (error) {
        said.textContent = `Not signed in: ${error.message}.`;
        return;
      } finally {
        input.value = "";
      }
      asking = null;
      dialog.close();
      showSession();
      done();
    };
    dialog.showModal();
  });
  return asking;
}

async function whoami() {
  if (session === null) {
    const response = await fetch(here(SESSION));
    if (response.ok) session = await response.json();
    showSession();
  }
  return session;
}

function showSession() {
  at("session").hidden = !session?.csrf;
  at("session-name").textContent = session ? `${session.name} (${session.scope})` : "";
}

/** A request to the API; changes carry what shows that it is this page which makes them. */
export async function ask(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers };
    if ((options.method ?? "GET") !== "GET") {
      const csrf = (await whoami())?.csrf;
      if (csrf) headers["X-CSRF-Token"] = csrf;
    }
    const before = session;
    const response = await fetch(here(path), { ...options, headers });
    if (response.status === 401) {
      if (session === before) {
        session = null;
        await signIn();
      }
      continue;
    }
    if (!response.ok) throw new Error(await problemOf(response));
    return response;
  }
}

/** Whether the page may offer what needs a scope: `operate`, `admin`. */
export async function may(scope) {
  const scopes = ["read", "operate", "admin"];
  return scopes.indexOf((await whoami())?.scope) >= scopes.indexOf(scope);
}

/** Show who is signed in, and let them sign out. */
export function startSession() {
  at("sign-out").addEventListener("click", async () => {
    await ask(SESSION, { method: "DELETE" }).catch((error) => console.info("signing out:", error.message));
    location.reload();
  });
  at("token").addEventListener("cancel", (event) => event.preventDefault());
  whoami().catch((error) => console.info("session:", error.message));
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
