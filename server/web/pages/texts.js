// The texts of the pages, by key, in all languages. Functions take values from the response or the
// form. The result is only ever set as text, never as markup.

// againEnglish and againKorean take seconds, or NaN if the server did not specify them.
function againEnglish(seconds) {
  if (!(seconds > 0)) return "Try again in a moment.";
  if (seconds > 90) return `Try again in ${Math.ceil(seconds / 60)} minutes.`;
  return `Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
}

function againKorean(seconds) {
  if (!(seconds > 0)) return "잠시 후 다시 시도해 주세요.";
  if (seconds > 90) return `${Math.ceil(seconds / 60)}분 후에 다시 시도해 주세요.`;
  return `${seconds}초 후에 다시 시도해 주세요.`;
}

const en = {
  "show": "Show",
  "show.label": "Show password",
  "hide": "Hide",
  "hide.label": "Hide password",
  "busy": "One moment…",
  "email": "Email address",
  "again": "Try again",
  "continue": "Continue",

  "verify.title": "Verify your email address",
  "verify.lead": "One last step: enter the password you chose when you signed up, to confirm that the account is yours.",
  "verify.password": "Your password",
  "verify.button": "Verify and sign in",
  "verify.forgotten": "Forgot your password? Sign up again with the same email address. For the link in the new email, use the new password.",
  "verify.stranger": "If you did not sign up, close this page. No account will be created.",
  "verify.done.title": "Your email address is verified",
  "verify.done": ({ username }) => `Welcome, ${username}! You are signed in now.`,
  "verify.stale": "It has expired or was already used. If you have verified your email address, sign in. If not, we can send you a new link.",
  "verify.missing.title": "Open the link in your email",
  "verify.missing": "This page needs the link we sent you when you signed up. If you reloaded the page, open the link again. If you did not get an email, we can send you a new link.",
  "verify.request": "Send a new link",
  "verify.sent": ({ email }) => `If ${email} is waiting to be verified, we have sent a new email. It can take a few minutes. Check your spam folder too.`,

  "reset.title": "Set a new password",
  "reset.lead": "This signs you out on all devices. Afterward, sign in with the new password.",
  "reset.password": "New password",
  "reset.hint": ({ minimum }) => `${minimum ? `At least ${minimum} characters. ` : ""}A long password is better than a complicated one. Four or five unrelated words are a good choice.`,
  "reset.repeat": "Repeat new password",
  "reset.button": "Set password",
  "reset.done.title": "Your new password is set",
  "reset.done": "You are signed out on all devices. Sign in with the new password.",
  "reset.stale": "It has expired, was already used, or was replaced by a newer link. If you have set your new password, sign in. If not, we can send you a new link.",
  "reset.forgotten.title": "Forgot your password?",
  "reset.forgotten": "Enter the email address of your account. We will send you a link to set a new password.",
  "reset.request": "Send a link",
  "reset.sent": ({ email }) => `If there is an account for ${email}, we have sent an email. It can take a few minutes. Check your spam folder too.`,

  "change.title": "Confirm your new email address",
  "change.lead": "When you confirm, this becomes the email address of your account. You sign in with it and receive our emails there. Nothing changes until you confirm.",
  "change.password": "Your password",
  "change.hint": "Enter the password of the account that will use this address. If you were invited and have not set a password yet, leave this empty.",
  "change.button": "Confirm new address",
  "change.stranger": "If you did not request this, close this page and do not enter a password. Nothing will change.",
  "change.done.title": "Your new email address is confirmed",
  "change.done": "This is now the email address of your account. You can close this page.",
  "change.stale": "It has expired, was already used, or was replaced by a newer link. If your profile still shows the old address, request the change again.",
  "change.missing.title": "Open the link in your email",
  "change.missing": "This page needs the link we sent to your new address. If you reloaded the page, open the link again. If you did not get an email, sign in and request the change again.",

  "stale.title": "This link is no longer valid",
  "sent.title": "Check your inbox",

  "fault.password": "Enter your password.",
  "fault.new_password": "Enter a new password.",
  "fault.repeat": "Repeat the new password.",
  "fault.email": "Enter your email address.",
  "fault.email_invalid": "Enter a valid email address.",
  "fault.mismatch": "The passwords do not match.",
  "fault.password_wrong": "This is not the password you chose when you signed up. The link is still valid. Try again.",
  "fault.password_not_yours": "This is not the password of the account. The link is still valid. Try again.",
  "fault.password_needed": "This account has a password. Enter it to continue.",
  "fault.too_short": ({ minimum }) => `This password is too short${minimum ? `: at least ${minimum} characters` : ""}. Add a word or two.`,
  "fault.too_long": ({ maximum }) => `This password is too long${maximum ? `: at most ${maximum} characters` : ""}.`,
  "fault.password_common": "This password is easy to guess: it is common, a pattern, or made from your own data. Choose another one.",
  "fault.password_breached": "This password is known from a data breach of another website, so attackers may try it. Choose another one.",
  "fault.invalid": "This password cannot be used. Choose another password.",
  "fault.network": "The server cannot be reached. Check your connection and try again.",
  "fault.limited": ({ wait }) => `Too many attempts. ${againEnglish(wait)}`,
  "fault.unavailable": ({ wait }) => `The server is busy. ${againEnglish(wait)}`,
  "fault.unknown": ({ detail }) => detail,
  "fault.other": ({ title, id }) => `Something went wrong: ${title}.${id ? ` If you contact support, include this number: ${id}` : ""}`,
};

const ko = {
  "show": "표시",
  "show.label": "비밀번호 표시",
  "hide": "숨기기",
  "hide.label": "비밀번호 숨기기",
  "busy": "잠시만 기다려 주세요…",
  "email": "이메일 주소",
  "again": "다시 요청하기",
  "continue": "계속하기",

  "verify.title": "이메일 주소 인증",
  "verify.lead": "마지막 단계입니다. 가입할 때 정한 비밀번호를 입력해 주세요. 본인이 가입했는지 확인하기 위한 절차입니다.",
  "verify.password": "비밀번호",
  "verify.button": "인증하고 로그인",
  "verify.forgotten": "비밀번호가 기억나지 않으세요? 같은 주소로 다시 가입해 주세요. 새 메일의 링크에서는 새 비밀번호를 사용합니다.",
  "verify.stranger": "가입한 적이 없으세요? 이 페이지를 닫으시면 됩니다. 계정은 만들어지지 않습니다.",
  "verify.done.title": "이메일 주소가 인증되었습니다",
  "verify.done": ({ username }) => `${username} 님, 환영합니다! 로그인되었습니다. 이 페이지를 닫고 가입하던 곳으로 돌아가세요.`,
  "verify.stale": "유효 기간이 지났거나 이미 사용된 링크입니다. 인증을 마치셨다면 바로 로그인하세요. 아직이라면 새 링크를 보내 드립니다.",
  "verify.missing.title": "메일에 있는 링크를 열어 주세요",
  "verify.missing": "이 페이지는 가입할 때 보내 드린 링크로 열어야 합니다. 페이지를 새로 고침하셨다면 링크를 다시 열어 주세요. 메일을 받지 못하셨다면 새 링크를 보내 드립니다.",
  "verify.request": "새 링크 받기",
  "verify.sent": ({ email }) => `${email} 주소로 인증을 기다리는 가입이 있다면 곧 새 메일이 도착합니다. 몇 분 정도 걸릴 수 있으니 스팸함도 확인해 주세요.`,

  "reset.title": "새 비밀번호 설정",
  "reset.lead": "비밀번호를 바꾸면 모든 기기에서 로그아웃됩니다. 이후 새 비밀번호로 로그인해 주세요.",
  "reset.password": "새 비밀번호",
  "reset.hint": ({ minimum }) => `${minimum ? `${minimum}자 이상이어야 합니다. ` : ""}복잡한 것보다 긴 것이 안전합니다. 서로 관련 없는 단어를 네다섯 개 이어 보세요.`,
  "reset.repeat": "새 비밀번호 확인",
  "reset.button": "비밀번호 설정",
  "reset.done.title": "새 비밀번호가 설정되었습니다",
  "reset.done": "모든 기기에서 로그아웃되었습니다. 이 페이지를 닫고 새 비밀번호로 로그인해 주세요.",
  "reset.stale": "유효 기간이 지났거나, 이미 사용되었거나, 더 최근에 보낸 링크로 대체되었습니다. 새 비밀번호를 설정하셨다면 바로 로그인하세요. 아직이라면 새 링크를 보내 드립니다.",
  "reset.forgotten.title": "비밀번호를 잊으셨나요?",
  "reset.forgotten": "계정의 이메일 주소를 입력하시면 새 비밀번호를 설정할 수 있는 링크를 보내 드립니다.",
  "reset.request": "링크 받기",
  "reset.sent": ({ email }) => `${email} 주소로 된 계정이 있다면 곧 메일이 도착합니다. 몇 분 정도 걸릴 수 있으니 스팸함도 확인해 주세요.`,

  "change.title": "새 이메일 주소 확인",
  "change.password": "비밀번호",
  "change.hint": "이 주소를 사용할 계정의 비밀번호를 입력해 주세요. 초대를 받아 아직 비밀번호를 정하지 않으셨다면 비워 두세요.",
  "change.lead": "확인하시면 이 주소가 계정의 이메일 주소가 됩니다. 앞으로 이 주소로 로그인하고 메일을 받게 됩니다. 확인하기 전까지는 아무것도 바뀌지 않습니다.",
  "change.button": "새 주소 확인",
  "change.stranger": "변경을 요청한 적이 없으세요? 비밀번호를 입력하지 말고 이 페이지를 닫으시면 됩니다. 아무것도 바뀌지 않습니다.",
  "change.done.title": "새 이메일 주소가 확인되었습니다",
  "change.done": "이제 이 주소가 계정의 이메일 주소입니다. 페이지를 닫으셔도 됩니다.",
  "change.stale": "유효 기간이 지났거나, 이미 사용되었거나, 더 최근에 보낸 링크로 대체되었습니다. 프로필에 아직 이전 주소가 보인다면 변경을 다시 요청해 주세요.",
  "change.missing.title": "메일에 있는 링크를 열어 주세요",
  "change.missing": "이 페이지는 새 주소로 보내 드린 링크로 열어야 합니다. 페이지를 새로 고침하셨다면 링크를 다시 열어 주세요. 메일을 받지 못하셨다면 로그인한 뒤 변경을 다시 요청해 주세요.",

  "stale.title": "더 이상 사용할 수 없는 링크입니다",
  "sent.title": "메일함을 확인해 주세요",

  "fault.password": "비밀번호를 입력해 주세요.",
  "fault.new_password": "새 비밀번호를 입력해 주세요.",
  "fault.repeat": "새 비밀번호를 한 번 더 입력해 주세요.",
  "fault.email": "이메일 주소를 입력해 주세요.",
  "fault.email_invalid": "이메일 주소 형식이 올바르지 않습니다.",
  "fault.mismatch": "두 비밀번호가 서로 다릅니다.",
  "fault.password_wrong": "가입할 때 정한 비밀번호와 다릅니다. 링크는 그대로 유효하니 다시 입력해 주세요.",
  "fault.password_not_yours": "이 계정의 비밀번호와 다릅니다. 링크는 그대로 유효하니 다시 입력해 주세요.",
  "fault.password_needed": "이 계정에는 비밀번호가 있습니다. 비밀번호를 입력해 주세요.",
  "fault.too_short": ({ minimum }) => `비밀번호가 너무 짧습니다.${minimum ? ` ${minimum}자 이상이어야 합니다.` : ""} 단어를 한두 개 더 붙여 보세요.`,
  "fault.too_long": ({ maximum }) => `비밀번호가 너무 깁니다.${maximum ? ` ${maximum}자까지 사용할 수 있습니다.` : ""}`,
  "fault.password_common": "추측하기 쉬운 비밀번호입니다. 흔히 쓰이거나 규칙적이거나 본인 정보로 만든 비밀번호는 사용할 수 없습니다. 다른 비밀번호를 정해 주세요.",
  "fault.password_breached": "다른 웹사이트의 정보 유출로 알려진 비밀번호라 공격에 쓰일 수 있습니다. 다른 비밀번호를 정해 주세요.",
  "fault.invalid": "사용할 수 없는 비밀번호입니다. 다른 비밀번호를 정해 주세요.",
  "fault.network": "서버에 연결할 수 없습니다. 인터넷 연결을 확인하고 다시 시도해 주세요.",
  "fault.limited": ({ wait }) => `시도 횟수가 너무 많습니다. ${againKorean(wait)}`,
  "fault.unavailable": ({ wait }) => `서버가 혼잡합니다. ${againKorean(wait)}`,
  "fault.unknown": ({ detail }) => detail,
  "fault.other": ({ title, id }) => `처리하지 못했습니다: ${title}.${id ? ` 문의하실 때 다음 번호를 알려 주세요: ${id}` : ""}`,
};

export const texts = { en, ko };
