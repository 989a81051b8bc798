// Generated from server/problem by make guides: change that.
import type { components } from "accounts-client";

type Schemas = components["schemas"];

/** The message of each problem code for users. */
export const problemMessages: Record<Schemas["Problem"]["code"], string> = {
  request_malformed: "Something went wrong on this page. Reload it and try again.",
  credentials_missing: "You are not signed in. Sign in and try again.",
  credentials_invalid: "The username or the password is wrong, or the email address is not verified yet.",
  access_invalid: "Your session cannot be continued. Sign in again.",
  access_expired: "Your session has to be renewed. Reload the page, or sign in again.",
  refresh_invalid: "Your session cannot be continued. Sign in again.",
  refresh_reused: "Your session may have been copied, so it was ended to protect your account. Sign in again and check the recent activity of your account.",
  session_expired: "Your session has expired. Sign in again.",
  session_revoked: "You have been signed out. Sign in again.",
  csrf_failed: "The server could not confirm that this request comes from you. Reload the page and try again.",
  transport_unusable: "Signing in does not work from this page, because it is on another site.",
  registration_closed: "You cannot sign up here. Ask the operator of this service for an account.",
  role_required: "You do not have permission to do this.",
  reauth_required: "Enter your password once more to continue.",
  resource_not_found: "This does not exist, or you have no access to it.",
  method_not_allowed: "Something went wrong on this page. Reload it and try again.",
  username_taken: "Another user has this username. Choose another one.",
  email_taken: "Another account has this email address.",
  email_unverified: "The email address is not verified yet. A role can be granted after that.",
  superuser_last: "This is the last active superuser. Make another user a superuser first.",
  user_unreachable: "No mail can be sent to this user: the account is deactivated or has no email address.",
  precondition_failed: "This has been changed in the meantime. Check the present state and try again.",
  body_too_large: "This is too much text. Shorten it and try again.",
  media_type_unsupported: "Something went wrong on this page. Reload it and try again.",
  validation_failed: "Some of the fields are not valid. Correct them and try again.",
  link_invalid: "This link is no longer valid. Request a new one.",
  rate_limited: "Too many attempts.",
  server_failed: "Something went wrong on the server. Try again later.",
  service_unavailable: "The server is busy. Try again in a moment.",
};

/** The message of each field code for users. */
export const fieldMessages: Record<Schemas["FieldError"]["code"], string> = {
  required: "Fill in this field.",
  field_unknown: "Something went wrong on this page. Reload it and try again.",
  field_duplicate: "Something went wrong on this page. Reload it and try again.",
  parameter_unknown: "Something went wrong on this page. Reload it and try again.",
  parameter_duplicate: "Something went wrong on this page. Reload it and try again.",
  too_short: "This is too short.",
  too_long: "This is too long.",
  too_few: "There are too few items.",
  too_many: "There are too many items.",
  out_of_range: "This number is too small or too large.",
  format_invalid: "This does not have the right form.",
  type_invalid: "This value cannot be used.",
  value_invalid: "This is not one of the allowed values.",
  taken: "This is already in use. Choose another one.",
  password_common: "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.",
  password_breached: "This password is known from a data breach of another website, so attackers may try it. Choose another one.",
  password_wrong: "This is not the right password.",
};
