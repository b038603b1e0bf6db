/** The demo's front page: what there is to try, and a live look at events and WebSocket. */
export const demoPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice demo</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
  code, pre { font-family: ui-monospace, monospace; font-size: .9em }
  dt { margin-top: .8rem; font-weight: 600 }
  dd { margin: 0 }
  output { display: block; min-height: 1.5em; padding: .4rem .6rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .3rem }
</style>
</head>
<body>
<h1>It works</h1>
<p>This page comes from a small origin that speaks plain HTTP only, on this machine. You reached it through Sluice,
which added TLS, HTTP/2, limits, a log line and the request id <code id="request-id">(loading)</code>.</p>
<dl>
  <dt><a href="/api/time">/api/time</a></dt><dd>the origin's clock, as JSON</dd>
  <dt><a href="/api/echo?greeting=hello">/api/echo</a></dt><dd>what the origin saw: method, fields, body. Look at the forwarded fields</dd>
  <dt><a href="/events">/events</a></dt><dd>server-sent events, one a second; each passes at once</dd>
  <dt><code>/ws</code></dt><dd>a WebSocket that sends back what it gets</dd>
  <dt><a href="/slow?ms=2000">/slow?ms=2000</a></dt><dd>an answer that takes its time</dd>
  <dt><a href="/fail?status=500">/fail?status=500</a></dt><dd>an answer with the status you ask for; <a href="/fail?cut=1">cut=1</a> dies half-way</dd>
  <dt><a href="/large?bytes=10000000">/large?bytes=10000000</a></dt><dd>a large body</dd>
</dl>
<h2>Live</h2>
<p>Events: <output id="events">waiting</output></p>
<p>WebSocket: <output id="socket">waiting</output></p>
<script>
  fetch('/api/time').then((response) => {
    document.getElementById('request-id').textContent = response.headers.get('x-request-id') || 'none'
  })
  new EventSource('/events').onmessage = (event) => { document.getElementById('events').textContent = event.data }
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws')
  const say = () => socket.send('echo at ' + new Date().toISOString())
  socket.onopen = () => { say(); setInterval(say, 1000) }
  socket.onmessage = (event) => { document.getElementById('socket').textContent = event.data }
  socket.onclose = () => { document.getElementById('socket').textContent = 'closed' }
</script>
</body>
</html>
`
