// OAuth 2.0 Web Message Response Mode: the answer goes to the window around this one, or to the one that opened it, and
// the browser hands it to no other origin than the one that the client has registered.
const response = JSON.parse(document.getElementById("response").textContent);
const target = document.body.dataset.target;
const receiver = window.opener || (window.parent !== window ? window.parent : null);
if (receiver) receiver.postMessage({ type: "authorization_response", response }, target);
