// Keeps the application for visits without a network. One cache holds exactly one build, every file checked against its
// hash, so that a page is never put together from two builds.
// scripts/post-build.mjs replaces the next lines: a list is [path, integrity], ...
const APP_BUILD = "";
const APP = [];
const SAMPLE_BUILD = "";
const SAMPLE = [];

const scope = new URL(self.registration.scope);
// An origin can hold several copies under different paths: each looks after its own caches only.
const prefix = `quantscope ${scope.pathname} `;
const appCache = `${prefix}app ${APP_BUILD}`;
const sampleCache = `${prefix}sample ${SAMPLE_BUILD}`;
const cacheOf = new Map([...APP.map(([path]) => [path, appCache]), ...SAMPLE.map(([path]) => [path, sampleCache])]);

async function store(name, files) {
  const cache = await caches.open(name);
  await Promise.all(
    files.map(async ([path, integrity]) => {
      const url = new URL(path, scope);
      if (await cache.match(url)) return;
      // A name with a hash in it never changes its content; any other is asked for again.
      const response = await fetch(url, { integrity, cache: /-[0-9a-f]{16}\./.test(path) ? "default" : "no-cache" });
      if (!response.ok) throw new Error(`${response.status} for ${url}`);
      await cache.put(url, response);
    }),
  );
}

// The page asks for the sample on a click only. Here it is kept beside the page while the page is idle, so that whoever was
// here once can open it on a train; a visitor who saves data, or a server that loses it, costs the install nothing.
const keepSample = () => store(sampleCache, SAMPLE);
self.addEventListener("install", (event) =>
  event.waitUntil(store(appCache, APP).then(() => (navigator.connection?.saveData ? undefined : keepSample().catch(() => {})))),
);

self.addEventListener("activate", (event) =>
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      const old = names.filter((name) => name.startsWith(prefix) && name !== appCache && name !== sampleCache);
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  ),
);

self.addEventListener("message", (event) => {
  if (event.data === "activate") self.skipWaiting();
  // For installs that went without it; and the page is told when all is there.
  if (event.data === "keep-sample") {
    event.waitUntil(keepSample().then(() => event.source.postMessage("offline-ready"), () => {}));
  }
});

async function kept(path, request) {
  const cache = await caches.open(cacheOf.get(path));
  return (await cache.match(new URL(path, scope))) ?? fetch(request);
}

async function page(request) {
  // A waiting build takes over when no page of the old one is left. A reload of the only tab never lets go of the old one
  // by itself, so it is done here, between two pages.
  const { waiting } = self.registration;
  if (waiting && (await self.clients.matchAll({ type: "window" })).length < 2) {
    waiting.postMessage("activate");
    // Not a Refresh header: to an address with a fragment that would be a jump inside this empty page.
    return new Response("<!doctype html><script>location.reload()</script>", { headers: { "Content-Type": "text/html" } });
  }
  return kept("./", request);
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  const path = url.pathname.slice(scope.pathname.length);
  if (path === "" || path === "index.html") event.respondWith(page(request));
  else if (cacheOf.has(path)) event.respondWith(kept(path, request));
});
