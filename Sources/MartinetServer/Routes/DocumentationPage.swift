/// The page at `/docs`: it reads `/openapi.json`, lists the routes, and lets a reader try them.
enum DocumentationPage {
    static let html = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Martinet: the API</title>
        <style>
        :root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
        body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
        code, pre, textarea, input { font: 13px/1.45 ui-monospace, monospace; }
        details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .3rem .8rem; }
        summary { cursor: pointer; }
        .method { display: inline-block; min-width: 3.5rem; font-weight: 700; text-transform: uppercase; }
        table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
        td, th { border-top: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top; }
        textarea, input { width: 100%; box-sizing: border-box; }
        textarea { height: 11rem; }
        pre { overflow: auto; max-height: 24rem; background: color-mix(in srgb, currentColor 7%, transparent); padding: .6rem; }
        button { padding: .3rem .9rem; margin: .4rem .4rem .4rem 0; }
        </style>
        </head>
        <body>
        <h1>Martinet <small id="version"></small></h1>
        <p>Every route of this server, from its <a href="/openapi.json">OpenAPI document</a>. Examples can be changed and sent.</p>
        <p><label>Key, sent as a bearer token where one is wanted <input id="key" type="password" autocomplete="off"></label></p>
        <div id="routes">Loading…</div>
        <script>
        'use strict';
        const make = (name, props = {}, ...children) => {
          const element = Object.assign(document.createElement(name), props);
          element.append(...children);
          return element;
        };
        const kinds = schema => {
          if (schema.enum) return schema.enum.filter(v => v !== null).map(v => JSON.stringify(v)).join(', ');
          return (schema.anyOf || [schema]).filter(s => s.type && s.type !== 'null').map(s => {
            const low = s.minimum ?? (s.exclusiveMinimum !== undefined ? '>' + s.exclusiveMinimum : '');
            const range = low !== '' || s.maximum !== undefined ? ` ${low}…${s.maximum ?? ''}` : '';
            return s.type + range + (s.maxLength ? `, at most ${s.maxLength} bytes` : '');
          }).join(' or ');
        };
        const inner = schema => {
          for (const s of schema.anyOf || [schema]) {
            if (s.properties) return s;
            if (s.items) { const found = inner(s.items); if (found) return found; }
          }
          return null;
        };
        const table = schema => make('table', {}, make('tr', {}, ...['Member', 'Kind', 'What it is for'].map(t => make('th', {textContent: t}))),
          ...Object.entries(schema.properties || {}).map(([name, field]) => {
            const about = make('td', {textContent: field.description || ''});
            const members = inner(field);
            if (members) about.append(make('details', {}, make('summary', {textContent: 'members'}), table(members)));
            const required = (schema.required || []).includes(name) ? ' (required)' : '';
            return make('tr', {}, make('td', {}, make('code', {textContent: name}), required), make('td', {textContent: kinds(field)}), about);
          }));
        const send = async (method, path, body, output, abort) => {
          output.textContent = '';
          const headers = {};
          const key = document.getElementById('key').value;
          if (key) headers.authorization = 'Bearer ' + key;
          if (body !== null) headers['content-type'] = 'application/json';
          try {
            const answer = await fetch(path, {method: method.toUpperCase(), headers, body: body === null ? undefined : body, signal: abort.signal});
            output.textContent = answer.status + ' ' + answer.statusText + '\n\n';
            const reader = answer.body.getReader();
            const decoder = new TextDecoder();
            let text = '';
            for (;;) {
              const {done, value} = await reader.read();
              if (done) break;
              const part = decoder.decode(value, {stream: true});
              text += part;
              output.append(part);
            }
            try { output.textContent = answer.status + '\n\n' + JSON.stringify(JSON.parse(text), null, 2); } catch { /* no JSON */ }
          } catch (error) { output.append('\n' + error); }
        };
        const form = (method, path, operation) => {
          const content = operation.requestBody?.content?.['application/json'];
          const examples = Object.values(content?.examples || {}).map(e => JSON.stringify(e.value, null, 2));
          const parts = [];
          const inputs = (operation.parameters || []).map(p => [p, make('input', {value: p.example ?? '', placeholder: p.name})]);
          for (const [p, input] of inputs) parts.push(make('label', {textContent: p.name + ': ' + (p.description || '')}, input));
          let text = null;
          if (content) {
            text = make('textarea', {value: examples[0] || '{}', spellcheck: false});
            examples.forEach((example, index) => parts.push(make('button', {textContent: 'Example ' + (index + 1), type: 'button', onclick: () => { text.value = example; }})));
            parts.push(text);
          }
          const output = make('pre', {className: 'answer'});
          let abort = new AbortController();
          parts.push(make('button', {textContent: 'Send', type: 'button', className: 'send', onclick: () => {
            abort.abort();
            abort = new AbortController();
            let target = path;
            const query = new URLSearchParams();
            for (const [p, input] of inputs) {
              if (p.in === 'path') target = target.replace('{' + p.name + '}', encodeURIComponent(input.value));
              else if (input.value) query.set(p.name, input.value);
            }
            send(method, target + (query.size ? '?' + query : ''), text ? text.value : null, output, abort);
          }}), make('button', {textContent: 'Stop', type: 'button', onclick: () => abort.abort()}), output);
          return parts;
        };
        fetch('/openapi.json').then(a => a.json()).then(api => {
          document.getElementById('version').textContent = api.info.version;
          const groups = new Map();
          for (const [path, methods] of Object.entries(api.paths))
            for (const [method, operation] of Object.entries(methods)) {
              const tag = operation.tags[0];
              if (!groups.has(tag)) groups.set(tag, []);
              groups.get(tag).push([method, path, operation]);
            }
          const routes = document.getElementById('routes');
          routes.textContent = '';
          for (const [tag, list] of groups) {
            routes.append(make('h2', {textContent: tag}));
            for (const [method, path, operation] of list) {
              const schema = operation.requestBody?.content?.['application/json']?.schema;
              routes.append(make('details', {id: operation.operationId},
                make('summary', {}, make('span', {className: 'method', textContent: method}), make('code', {textContent: path}), ' ' + operation.summary),
                ...(schema ? [table(schema)] : []), ...form(method, path, operation)));
            }
          }
        }).catch(error => { document.getElementById('routes').textContent = String(error); });
        </script>
        </body>
        </html>
        """#
}
