// Distinguishes a lost connection from an error of the page. Both can be a TypeError.

const lost = new WeakSet<object>();

/** fetch, which remembers the errors with which it rejects. */
export async function fetchOrReport(...call: Parameters<typeof fetch>): Promise<Response> {
  try {
    return await fetch(...call);
  } catch (error) {
    if (typeof error === "object" && error !== null) lost.add(error);
    throw error;
  }
}

/** Reports whether an error means that there was no response: fetch failed, or a time limit passed. */
export const isLost = (error: unknown): boolean => error instanceof DOMException || (error instanceof Error && lost.has(error));
