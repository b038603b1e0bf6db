import type { Program } from '../processes.ts'

/** What a scenario asks of a server. */
export type Ability = 'handshake' | 'idle' | 'h1 static' | 'h1 proxy' | 'h2 static' | 'h2 proxy' | 'workers'

/** Where and how one server of one measurement shall run. All paths are absolute. */
export interface Setup {
  /** Its own folder, removed after the measurement; the access log goes here. */
  readonly folder: string
  readonly port: number
  readonly originPort: number
  readonly workers: number
  /** Tells servers that speak one protocol a program which one. */
  readonly protocol: 'h1' | 'h2'
  readonly certificate: CertificateFiles
}

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Certificate and key in one file, as HAProxy takes them. */
  readonly bothFile: string
}

/**
 * One server under test. All of them: TLS with the same P-256 certificate and ciphers, keep-alive without a
 * request limit on both sides, forwarded fields towards the origin, an access log in a file, `/static`
 * answered from memory, all else passed to the origin.
 */
export interface Peer {
  readonly name: string
  readonly abilities: ReadonlySet<Ability>
  /** Name and version for the report, or undefined when it is not installed. */
  version(): string | undefined
  /** Writes its configuration into the folder and says what to start. It must stay in the foreground. */
  prepare(setup: Setup): Program
}

/**
 * In the server's order for all, whatever their libraries prefer: AES-128 is what Sluice chooses, and costs
 * less than AES-256, so that leaving the others at their defaults would flatter it.
 */
export const cipherSuites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'

/** What `/static` answers, 100 bytes; the origin's small answer has the same size. */
export const smallBody = 'sluice bench '.repeat(8).slice(0, 100)
