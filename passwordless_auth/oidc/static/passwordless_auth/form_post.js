// OAuth 2.0 Form Post Response Mode: the answer goes to the client as a form. Without scripts, the person presses its button.
document.querySelector("form[data-send]").submit();
