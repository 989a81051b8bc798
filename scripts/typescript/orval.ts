// Uses the output of orval's default client (axios). It is compiled, never run.
import axios, { isAxiosError } from "axios";
import { changePassword, getProfile, login, type Problem, type SignedIn } from "../../.cache/typescript/orval/api.js";

axios.defaults.baseURL = "https://accounts.example.com";
axios.defaults.withCredentials = true;

export async function life(username: string, password: string): Promise<string> {
  try {
    const { data } = await login({ username, password });
    remember(data);
    const profile = await getProfile();
    return profile.data.user.username;
  } catch (error) {
    if (!isAxiosError<Problem>(error) || !error.response) throw error;
    return error.response.data.detail;
  }
}

function remember(session: SignedIn): void {
  axios.defaults.headers.common["Authorization"] = `Bearer ${session.access_token ?? ""}`;
  axios.defaults.headers.common["X-CSRFToken"] = session.csrf_token ?? "";
}

export function mustNotCompile(): void {
  // @ts-expect-error a member that is required
  void changePassword({ current_password: "x" });
}
