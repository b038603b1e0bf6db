import { readFileSync } from 'node:fs'
import { isIP, connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type ConnectionOptions } from 'node:tls'
import { bracketed, type EndpointAddress } from '../origin-address.ts'
import type { UpstreamTlsOptions } from './options.ts'

/** Called with each read; the bytes are valid during the call. False pauses the socket. */
export type ReadCallback = (byteCount: number, buffer: Buffer) => boolean

/** The decrypted side of a TLS socket comes in records of this size at most. */
const tlsReadBytes = 16_384

/**
 * How to reach one origin: opens sockets, plain, TLS or Unix, that deliver into a buffer instead of a stream.
 * Keeps the last TLS session, so that later connections resume it.
 */
export class Endpoint {
  readonly name: string
  /** The Host it goes by: `127.0.0.1:3000`, without the port where it is the scheme's own. */
  readonly authority: string
  readonly secure: boolean
  readonly #address: EndpointAddress
  readonly #tls: ConnectionOptions
  readonly #readBuffer: Buffer
  #session: Buffer | undefined = undefined

  /** `readBuffer` is shared by all plain sockets of the worker: they are read one at a time. */
  constructor(address: EndpointAddress, tls: ConnectionOptions, readBuffer: Buffer) {
    this.name = address.text
    this.#address = address
    this.#readBuffer = readBuffer
    this.secure = address.kind === 'tcp' && address.secure
    this.authority = authorityOf(address)
    this.#tls = tls
  }

  /** Starts to connect. The socket is ready at `connect`, or at `secureConnect` when `secure`. */
  open(onRead: ReadCallback): Socket {
    const address = this.#address
    if (address.kind === 'tcp' && address.secure) {
      const socket = connectTls({
        host: address.host,
        port: address.port,
        ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
        ...this.#tls,
        ALPNProtocols: ['http/1.1'],
        ...(this.#session === undefined ? {} : { session: this.#session }),
        // Its own buffer: TLS may deliver while another socket's bytes are being read.
        ...onreadOption(Buffer.allocUnsafeSlow(tlsReadBytes), onRead),
      })
      socket.setNoDelay(true)
      socket.on('session', (session) => {
        this.#session = session
      })
      return socket
    }
    const onread = onreadOption(this.#readBuffer, onRead)
    if (address.kind === 'unix') return connectTcp({ path: address.path, ...onread })
    return connectTcp({
      host: address.host,
      port: address.port,
      noDelay: true,
      ...onread,
    })
  }
}

/** The options object that Node takes for reads without a stream; its type is missing from some signatures. */
function onreadOption(buffer: Buffer, callback: ReadCallback): object {
  return { onread: { buffer, callback } }
}

function authorityOf(address: EndpointAddress): string {
  if (address.kind === 'unix') return 'localhost'
  const host = bracketed(address.host)
  return address.port === (address.secure ? 443 : 80) ? host : `${host}:${address.port}`
}

/** TLS options shared by the endpoints of an upstream. Throws when the CA file cannot be read. */
export function tlsOptions(options: UpstreamTlsOptions): ConnectionOptions {
  const ca = options.caFile === undefined ? {} : { ca: readFileSync(options.caFile) }
  return {
    secureContext: createSecureContext({ minVersion: 'TLSv1.2', ...ca }),
    rejectUnauthorized: options.verify,
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
  }
}
