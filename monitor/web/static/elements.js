// Elements of the page, and how they change.

export const at = (id) => document.getElementById(id);

/** An element; children are elements or text. Text is never read as markup. */
export function el(name, attributes = {}, ...children) {
  const node = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Let what has just come stand out for a moment. */
export function arrive(node) {
  node.classList.add("new");
  node.addEventListener("animationend", () => node.classList.remove("new"), { once: true });
  return node;
}

/** Change only what differs: selections and screen readers are left in peace. */
export function say(node, text, className) {
  if (node.textContent !== text) node.textContent = text;
  if (className !== undefined && node.className !== className) node.className = className;
}

/** Make the children of `parent` stand for `items`, keeping the node of each key, its focus and its open details. */
export function list(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = old.get(key);
    old.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
    update?.(node, item);
  }
  for (const node of old.values()) node.remove();
}

/** A table; cells are elements or text. */
export function table(heads, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((c) => el("td", {}, c))))));
}
