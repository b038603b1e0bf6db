import { Worker } from 'node:worker_threads'
import { threadFile } from '../workers/thread-file.ts'

/** A running demo origin; it has a thread of its own, so that it takes no time from the gateway's. */
export interface Demo {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  stop(): Promise<void>
}

export async function startDemo(): Promise<Demo> {
  const thread = new Worker(threadFile(import.meta.url, 'thread'), { name: 'demo' })
  const port = await new Promise<number>((resolve, reject) => {
    thread.once('message', resolve)
    thread.once('error', reject)
  })
  // An origin that fails is the gateway's daily bread: it answers 502 from then on.
  thread.on('error', () => {})
  thread.unref()
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => void (await thread.terminate()),
  }
}

/** Lines to print below the addresses. `url` is the gateway's HTTPS address. */
export function demoHints(url: string): string[] {
  return [
    'Try (-k: the certificate is a development one):',
    `  open ${url}/ in a browser`,
    `  curl -k ${url}/api/time`,
    `  curl -k --http1.1 -d hello ${url}/api/echo`,
    `  curl -kN ${url}/events`,
    `  curl -k '${url}/slow?ms=2000'`,
    `  curl -k '${url}/fail?status=503'`,
    `  curl -k -o /dev/null -w '%{http_version} %{size_download}\\n' '${url}/large?bytes=10000000'`,
    `  WebSocket: ${url.replace(/^https/, 'wss')}/ws`,
  ]
}
