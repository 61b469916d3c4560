// Shows the OpenAPI document of this server. Everything is built from text nodes: nothing of the document is taken
// as HTML.
"use strict";

const METHODS = ["get", "put", "post", "delete", "patch"];
const EXAMPLE_DEPTH = 8;

/** An element with attributes and children; strings become text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text with `code` in backquotes. */
function inline(text) {
  return text.split(/(`[^`]+`)/).map((part) =>
    part.startsWith("`") && part.length > 2 ? element("code", {}, part.slice(1, -1)) : part);
}

/** Paragraphs, parted by empty lines. */
function prose(text) {
  return (text || "").split(/\n\s*\n/).filter(Boolean).map((part) => element("p", {}, ...inline(part)));
}

function schemaName(reference) {
  return reference.split("/").pop();
}

function resolve(spec, schema) {
  return schema && schema.$ref ? spec.components.schemas[schemaName(schema.$ref)] : schema;
}

/** All members of an object schema, those of its parts included. */
function members(spec, schema) {
  const found = { properties: {}, required: [] };
  for (const part of [schema, ...(schema.allOf || []).map((part) => resolve(spec, part))]) {
    Object.assign(found.properties, part.properties || {});
    found.required.push(...(part.required || []));
  }
  return found;
}

/** The type of a schema in a few words and links. */
function typeOf(schema) {
  if (!schema) return ["anything"];
  if (schema.$ref) {
    const name = schemaName(schema.$ref);
    return [element("a", { href: `#schema-${name}` }, name)];
  }
  const choices = schema.oneOf || schema.anyOf;
  if (choices) {
    return choices.flatMap((choice, index) => (index ? [" or ", ...typeOf(choice)] : typeOf(choice)));
  }
  const types = [].concat(schema.type || "object");
  if (types.includes("array")) return ["list of ", ...typeOf(schema.items)];
  return [types.join(" or ")];
}

/** What is said of a member; where it may be null, its choice says it. */
function meaningOf(member) {
  const said = [member, ...(member.oneOf || member.anyOf || [])].map((part) => part.description);
  return prose(said.find(Boolean));
}

/** What a value may be, beyond its type. */
function limitsOf(schema) {
  const limits = [];
  const add = (key, words) => schema[key] !== undefined && limits.push(`${words} ${schema[key]}`);
  add("format", "format");
  add("minimum", "at least");
  add("maximum", "at most");
  add("minLength", "length at least");
  add("maxLength", "length at most");
  add("minItems", "items at least");
  add("maxItems", "items at most");
  add("default", "default");
  const nodes = limits.length ? [limits.join(", ")] : [];
  if (schema.pattern) nodes.push(nodes.length ? ", matches " : "matches ", element("code", {}, schema.pattern));
  if (schema.enum) {
    nodes.push(nodes.length ? "; one of " : "one of ");
    schema.enum.forEach((value, index) => nodes.push(index ? ", " : "", element("code", {}, String(value))));
  }
  return nodes;
}

/** A value that fits a schema. */
function exampleOf(spec, schema, depth = 0) {
  if (!schema || depth > EXAMPLE_DEPTH) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.$ref) return exampleOf(spec, resolve(spec, schema), depth + 1);
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const choices = schema.oneOf || schema.anyOf;
  if (choices) return exampleOf(spec, choices.find((choice) => choice.type !== "null"), depth + 1);
  const type = [].concat(schema.type || "object").find((name) => name !== "null");
  if (type === "array") return [exampleOf(spec, schema.items, depth + 1)];
  if (type === "object") {
    const made = {};
    for (const [name, member] of Object.entries(members(spec, schema).properties)) {
      made[name] = exampleOf(spec, member, depth + 1);
    }
    return made;
  }
  return { string: "text", integer: schema.minimum || 0, number: 0, boolean: false }[type] ?? null;
}

function exampleBlock(spec, content) {
  return Object.entries(content || {}).map(([type, media]) => {
    const value = media.example !== undefined ? media.example : exampleOf(spec, media.schema);
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    return element("details", {}, element("summary", { class: "faint" }, `Example (${type})`),
      element("pre", {}, text));
  });
}

function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...cell))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function memberTable(spec, schema) {
  const { properties, required } = members(spec, schema);
  const rows = Object.entries(properties).map(([name, member]) => [
    [element("code", {}, name), required.includes(name) ? "" : element("span", { class: "faint" }, " optional")],
    typeOf(member),
    [...meaningOf(member), element("span", { class: "faint" }, ...limitsOf(member))],
  ]);
  return rows.length ? table(["Member", "Type", "Meaning"], rows) : null;
}

function operationSection(spec, path, method, operation) {
  const section = element("section", { id: operation.operationId },
    element("h3", {}, operation.summary || operation.operationId),
    element("div", { class: "route" }, element("span", { class: `method ${method}` }, method.toUpperCase()),
      element("code", {}, path)),
    ...prose(operation.description));
  if (operation.parameters && operation.parameters.length) {
    const rows = operation.parameters.map((parameter) => [
      [element("code", {}, parameter.name), parameter.required ? "" : element("span", { class: "faint" }, " optional")],
      [parameter.in],
      typeOf(parameter.schema),
      [...prose(parameter.description), element("span", { class: "faint" }, ...limitsOf(resolve(spec, parameter.schema) || {}))],
    ]);
    section.append(element("h4", {}, "Parameters"), table(["Name", "In", "Type", "Meaning"], rows));
  }
  if (operation.requestBody) {
    const types = Object.entries(operation.requestBody.content)
      .flatMap(([type, media]) => [element("code", {}, type), ": ", ...typeOf(media.schema)]);
    section.append(element("h4", {}, "Body"), element("p", {}, ...types),
      ...exampleBlock(spec, operation.requestBody.content));
  }
  const rows = Object.entries(operation.responses).map(([status, response]) => [
    [element("code", {}, status)],
    [...prose(response.description),
      ...Object.keys(response.headers || {}).map((name) =>
        element("p", { class: "faint" }, "Header ", element("code", {}, name)))],
    Object.values(response.content || {}).flatMap((media) => typeOf(media.schema)),
  ]);
  section.append(element("h4", {}, "Answers"), table(["Status", "Meaning", "Body"], rows));
  const right = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
  if (right) section.append(...exampleBlock(spec, right[1].content));
  return section;
}

function schemaSection(spec, name, schema) {
  const section = element("section", { id: `schema-${name}` }, element("h3", {}, name), ...prose(schema.description));
  const choices = schema.oneOf || schema.anyOf;
  if (choices) {
    for (const choice of choices) {
      section.append(memberTable(spec, resolve(spec, choice)) || element("p", {}, ...typeOf(choice)));
    }
  } else {
    section.append(memberTable(spec, schema)
      || element("p", {}, ...typeOf(schema), " ", element("span", { class: "faint" }, ...limitsOf(schema))));
  }
  section.append(element("details", {}, element("summary", { class: "faint" }, "Example"),
    element("pre", {}, JSON.stringify(exampleOf(spec, schema), null, 2))));
  return section;
}

/** Hides what does not have the filter's text. */
function filter(entries, text) {
  const wanted = text.trim().toLowerCase();
  for (const { link, section, words } of entries) {
    const hidden = wanted !== "" && !words.includes(wanted);
    link.hidden = hidden;
    section.hidden = hidden;
  }
}

function show(spec) {
  const main = document.getElementById("main");
  const contents = document.getElementById("contents");
  const entries = [];
  const group = (title, description, list) => {
    if (!list.length) return;
    const links = element("ul", {});
    main.append(element("h2", {}, title), ...prose(description));
    contents.append(element("h2", {}, title), links);
    for (const { label, section, words } of list) {
      const link = element("li", {}, element("a", { href: `#${section.id}` }, label));
      links.append(link);
      main.append(section);
      entries.push({ link, section, words: words.toLowerCase() });
    }
  };
  main.replaceChildren(element("h1", {}, spec.info.title),
    element("p", { class: "faint" }, `Version ${spec.info.version}, OpenAPI ${spec.openapi}. `,
      element("a", { href: "/openapi.json" }, "The document itself")),
    ...prose(spec.info.description));
  const operations = Object.entries(spec.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, operation: item[method] })));
  for (const tag of spec.tags) {
    const tagged = operations.filter(({ operation }) => (operation.tags || []).includes(tag.name));
    group(tag.name[0].toUpperCase() + tag.name.slice(1), tag.description, tagged.map(({ path, method, operation }) => ({
      label: operation.summary,
      section: operationSection(spec, path, method, operation),
      words: `${method} ${path} ${operation.operationId} ${operation.summary} ${operation.description || ""}`,
    })));
  }
  group("Schemas", "", Object.entries(spec.components.schemas).sort(([a], [b]) => a.localeCompare(b))
    .map(([name, schema]) => ({
      label: name,
      section: schemaSection(spec, name, schema),
      words: `${name} ${schema.description || ""}`,
    })));
  const input = document.getElementById("filter");
  input.addEventListener("input", () => filter(entries, input.value));
  // What the address names was not there yet when the page was loaded.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

async function start() {
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`${response.status}`);
    show(await response.json());
  } catch (error) {
    const state = document.getElementById("state");
    (state || document.getElementById("main")).replaceChildren(
      element("span", { class: "error" }, `/openapi.json cannot be shown: ${error.message}`));
  }
}

start();
