/** What the process's exit code says; users script against these. */
export const exitCodes = {
  ok: 0,
  /** Bad arguments, a bad configuration, or a start that failed. */
  failed: 1,
  /** A second signal during the drain. */
  forced: 2,
  /** The drain's deadline cut requests, or a worker had to be ended. */
  unclean: 3,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
